"""Sound and frames of a clip: reading, changing and writing them, by PyAV and NumPy."""
