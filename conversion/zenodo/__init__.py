"""The release's record on Zenodo: what it lists, and bringing its files."""
