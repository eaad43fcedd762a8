"""Pairs of sound and picture for the correspondence task."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from experiments.feeding.batches import Batches
from experiments.pairs import pairs
from experiments.recognise.evaluation import AT_ONCE, scored
from experiments.recognise.networks.architecture import Architecture
from experiments.recognise.networks.network import Batch, Network
from experiments.recognise.rows import Labelled
from experiments.recognise.runs.settings import Settings
from experiments.recognise.scores import Scores
from experiments.recognise.training.data import Chosen

TRAINING, VALIDATION, TEST = 2, 18, 2
"""Pairs for each video, half of them congruent.

The authors train an epoch on 12,960 pairs of 16 x 405 videos, and validate on as many of 16 x 45.
Their accuracies are whole multiples of 1/1,920: two pairs for each of the 960 test videos. Which
ones those were is not published.
"""


class Correspondence:
    """Batches of pairs, of one class or of two; see `data.Data`.

    Each epoch of training has pairs of its own; those for validation and test stay the same, and
    for the test do not depend on the seed of the run.
    """

    def __init__(self, chosen: Chosen, made: Architecture, settings: Settings):
        self._made = made
        self._training = self._of(chosen.training, TRAINING, settings.batch_size, settings.seed)
        self._validation = self._of(chosen.validation, VALIDATION, AT_ONCE, 0)
        self._test = self._of(chosen.test, TEST, AT_ONCE, 0)

    @property
    def batches(self) -> int:
        """How many batches an epoch of training has."""
        return len(self._training)

    def training(self, epoch: int) -> Iterable[Batch]:
        """Return the batches of an epoch."""
        self._training.set_epoch(epoch)
        return map(_numbered, self._training)

    def validated(self, network: Network) -> Scores:
        """Return what the network gives for the pairs of validation."""
        return _scored(network, self._validation)

    def tested(self, network: Network) -> Scores:
        """Return what the network gives for the pairs of test videos."""
        return _scored(network, self._test)

    def _of(self, rows: Labelled, times: int, size: int, seed: int) -> Batches:
        return pairs(
            rows.rows,
            size,
            itself=True,  # as among the authors' pairs
            length=times * len(rows),
            seed=seed,
            columns=(),
            timesteps=self._made.timesteps,
        )


def _scored(network: Network, batches: Batches) -> Scores:
    batches.set_epoch(0)
    return scored(network, map(_numbered, batches), lambda label: label)


def _numbered(batch: Any) -> Batch:
    return {**batch, "label": np.asarray(batch["congruent"]).astype(np.int64)}
