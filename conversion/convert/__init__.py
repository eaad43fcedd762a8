"""From a release to a package, and back."""
