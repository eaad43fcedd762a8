"""Choosing videos: by their ratings and classes, as the paper did, and in balanced splits."""

from experiments.choices.selecting import select
from experiments.choices.splitting import splits

__all__ = ["select", "splits"]
