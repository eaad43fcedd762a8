"""Encoders: what they are, how they are found, and the built-in ones."""
