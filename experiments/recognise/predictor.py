"""A trained network with the names of its classes: `avmit.recogniser`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError
from experiments.recognise.checkpoints.published import read_published
from experiments.recognise.checkpoints.run import read_trained
from experiments.recognise.checkpoints.trained import Trained
from experiments.recognise.networks.architecture import Architecture
from experiments.recognise.networks.frameworks import Framework, network
from experiments.recognise.networks.network import Matrix, Network
from experiments.recognise.runs.run_folder import CONFIG

_AT_ONCE = 256
"""Rows that go through the network together."""


@dataclass(frozen=True)
class Recogniser:
    """A trained network; made by `avmit.recogniser`."""

    trained: Trained
    framework: Framework | None = None

    @property
    def architecture(self) -> Architecture:
        """What the network is made of."""
        return self.trained.architecture

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the network's outputs."""
        return self.trained.labels

    @cached_property
    def network(self) -> Network:
        """The network in its framework."""
        return network(self.architecture, self.trained.weights, self.framework)

    def predict(self, audio: Any = None, visual: Any = None) -> Matrix:
        """Return the probability of each class.

        Args:
            audio: (B, 7, width) float32, zero after each video's end, as `avmit.batches` gives it
                with `timesteps=7`. None for a network of visual embeddings alone.
            visual: likewise.

        Returns:
            (B, classes) float32; each row adds up to 1.

        Raises:
            AvmitError: an array is missing, is not asked for, or is of another shape.
        """
        given = {"audio": audio, "visual": visual}
        batch = {name: array for name, array in given.items() if array is not None}
        self._check(batch)
        arrays = {name: np.asarray(array, np.float32) for name, array in batch.items()}
        rows = len(next(iter(arrays.values())))
        starts = range(0, rows, _AT_ONCE)
        parts = [
            self.network.probabilities(
                {name: array[start : start + _AT_ONCE] for name, array in arrays.items()}
            )
            for start in starts
        ]
        empty = np.zeros((0, len(self.labels)), np.float32)
        return np.concatenate([empty, *parts])

    def _check(self, batch: Mapping[str, Any]) -> None:
        wanted = dict(self.architecture.widths)
        if set(batch) != set(wanted):
            raise AvmitError(
                f"{self.trained.name} is a network of {' and '.join(wanted)}, and was given "
                f"{' and '.join(batch) or 'neither'}"
            )
        steps = self.architecture.timesteps
        for name, array in batch.items():
            shape = np.shape(array)
            if len(shape) != 3 or shape[1:] != (steps, wanted[name]):
                raise AvmitError(
                    f"{name} is of shape {shape}, and {self.trained.name} takes "
                    f"(B, {steps}, {wanted[name]})"
                )
        if len({len(array) for array in batch.values()}) > 1:
            counts = " and ".join(f"{len(array):,} of {name}" for name, array in batch.items())
            raise AvmitError(f"{counts}: both are of the same videos")


def recogniser(folder: str | os.PathLike[str], framework: Framework | None = None) -> Recogniser:
    """Read a trained network.

    Args:
        folder: the authors' (`train.yaml`, and a TensorFlow checkpoint of Keras 2, which takes
            TensorFlow to read), or what `avmit recognise --train --out FOLDER` wrote.
        framework: what computes it, `keras` or `torch`; by default Keras if it is installed.

    Raises:
        AvmitError: there is no such folder, it holds neither, what it holds is damaged or of
            another network, or what is needed is not installed.
    """
    path = Path(folder)
    if not path.is_dir():
        raise AvmitError(f"no folder {path}: name one with a checkpoint and its train.yaml")
    read = read_trained if (path / CONFIG).is_file() else read_published
    return Recogniser(read(path), framework)
