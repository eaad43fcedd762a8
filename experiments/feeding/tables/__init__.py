"""Conditions on rows, and joining tables, on the small columns alone."""

from experiments.feeding.tables.joined import Joined
from experiments.feeding.tables.joining import join
from experiments.feeding.tables.report import JoinReport

__all__ = ["JoinReport", "Joined", "join"]
