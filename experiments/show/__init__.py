"""Everything that a package knows of one video."""
