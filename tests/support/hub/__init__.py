"""A Hub on the loopback, that the real clients are driven against."""
