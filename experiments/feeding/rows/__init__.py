"""Rows read where they lie in the mapped shards, by their number."""

from experiments.feeding.rows.part import Part
from experiments.feeding.rows.view import Rows, Taken, rows

__all__ = ["Part", "Rows", "Taken", "rows"]
