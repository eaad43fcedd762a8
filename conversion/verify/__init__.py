"""Checks of a package: its folders, shards, rows and card."""
