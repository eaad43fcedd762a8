"""Finding the videos that have no sound, where a config does not say which."""
