"""What a network of any framework can do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.recognise.networks.architecture import Architecture, Weights

Matrix = np.ndarray[Any, np.dtype[np.float32]]
Batch = Mapping[str, Any]
"""What `avmit.batches` gives: `audio` and `visual`, (B, timesteps, width), and `label` (B,)."""


@dataclass(frozen=True)
class Optimizer:
    """Adam's settings; `weight_decay` is taken off the weights themselves, as AdamW does."""

    learning_rate: float
    weight_decay: float = 0.0


class Network(ABC):
    """A network with its weights, in some framework."""

    def __init__(self, architecture: Architecture):
        self.architecture = architecture

    @abstractmethod
    def weights(self) -> Weights:
        """Return copies of the weights."""

    @abstractmethod
    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Take over other weights."""

    @abstractmethod
    def probabilities(self, batch: Batch) -> Matrix:
        """Return (B, classes) of a batch, as in use: nothing is dropped, nothing learned."""

    @abstractmethod
    def prepare(self, optimizer: Optimizer) -> None:
        """Get ready to train; called once, before the three below."""

    @abstractmethod
    def train(self, batches: Iterable[Batch], seed: tuple[int, int]) -> tuple[float, float]:
        """Train through an epoch, with what is dropped a function of `seed`.

        Returns the mean cross-entropy and the accuracy over its rows, as they were in training.
        """

    @abstractmethod
    def optimizer_state(self) -> dict[str, Any]:
        """Return what the optimizer remembers, as arrays."""

    @abstractmethod
    def set_optimizer_state(self, state: Mapping[str, Any]) -> None:
        """Let the optimizer go on from what it remembered."""
