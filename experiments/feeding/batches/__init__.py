"""Rows put together into batches, in an order that is known beforehand."""

from experiments.feeding.batches.iterable import Batches, batches
from experiments.feeding.batches.options import BatchOptions

__all__ = ["BatchOptions", "Batches", "batches"]
