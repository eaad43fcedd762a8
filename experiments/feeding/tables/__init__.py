"""Choosing rows and joining tables, on the small columns alone."""
