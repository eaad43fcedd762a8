"""The release's record files: their framing, their message, and its fast path."""
