"""What benchmarks are run on, and how they take times."""
