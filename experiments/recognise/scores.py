"""How well probabilities of classes fit what is true."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from experiments.recognise.networks.network import Matrix

_LEAST = 1e-7
"""What a probability counts as at least, as in Keras' losses."""

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Scores:
    """The probabilities (B, classes) of videos, and the number of each one's class (B,)."""

    probabilities: Matrix
    truth: Numbers

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def _of_truth(self) -> Matrix:
        return self.probabilities[np.arange(len(self)), self.truth]

    @cached_property
    def loss(self) -> float:
        """The mean cross-entropy, in nats."""
        likely = np.clip(self._of_truth.astype(np.float64), _LEAST, 1.0)
        # What is not a number stays so.
        return float(-np.log(likely).mean())

    @property
    def accuracy(self) -> float:
        """The share of videos whose class is the most probable one."""
        return float((self.guesses == self.truth).mean())

    @property
    def top5(self) -> float:
        """The share of videos whose class is among the five most probable ones."""
        return float((self._above < 5).mean())

    @cached_property
    def _above(self) -> Numbers:
        above: Numbers = (self.probabilities > self._of_truth[:, None]).sum(1)
        return above

    @cached_property
    def guesses(self) -> Numbers:
        """The number of the most probable class of each video."""
        guesses: Numbers = self.probabilities.argmax(1)
        return guesses

    @cached_property
    def confusion(self) -> Numbers:
        """How many videos of each class (row) were taken for which (column)."""
        classes = self.probabilities.shape[1]
        table = np.zeros((classes, classes), np.int64)
        np.add.at(table, (self.truth, self.guesses), 1)
        return table

    def within(self, rank: int, margin: float) -> tuple[int, int]:
        """Return how many videos have their class among the `rank` most probable ones.

        At least, and at most, if each probability may be off by half of `margin`.
        """
        others = self.probabilities.copy()
        others[np.arange(len(self)), self.truth] = -np.inf
        rival = np.sort(others, 1)[:, -rank] if others.shape[1] > rank else np.full(len(self), -1.0)
        ahead = self._of_truth - rival
        return int((ahead > margin).sum()), int((ahead >= -margin).sum())
