"""From a copy of the videos to a config of a package."""
