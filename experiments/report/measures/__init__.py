"""What is counted and computed of a package for its pictures."""
