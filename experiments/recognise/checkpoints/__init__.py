"""Trained networks as they lie on disk: the authors' and our own."""
