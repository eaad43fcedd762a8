"""What is told of a run while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.recognise.runs.history import Epoch
from experiments.recognise.runs.settings import Settings


@dataclass(frozen=True)
class Start:
    """What a run is about to do: the videos of each side, the batches of an epoch, the epochs that
    are done already."""

    folder: Path
    settings: Settings
    training: int
    validation: int
    batches: int
    done: int


@dataclass(frozen=True)
class Told:
    """Who is told: once when rows are read, after each batch of training, after each epoch."""

    start: Callable[[Start], None] = lambda start: None
    batch: Callable[[int, int], None] = lambda epoch, batches: None
    """Of the number of the epoch, and of its batches in all."""
    epoch: Callable[[Epoch], None] = lambda row: None
