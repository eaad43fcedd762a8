"""Reading a package where it lies, on the Hub or elsewhere, by its index of record batches."""

from experiments.feeding.stream.streaming import Stream, stream

__all__ = ["Stream", "stream"]
