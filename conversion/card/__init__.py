"""The dataset card: filled in from what a package holds, merged into what is there."""
