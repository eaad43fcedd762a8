"""A run of training: what it is asked for, how its epochs went, and the folder that holds it."""
