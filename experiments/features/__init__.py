"""Rows as dense matrices with the videos' names beside them, for what reads no Arrow."""

from experiments.features.dense import Features, features

__all__ = ["Features", "features"]
