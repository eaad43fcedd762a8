"""A trained network's answers for the test videos."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError
from experiments.feeding.batches import batches
from experiments.recognise.agreement import Agreement, agreements, read_results
from experiments.recognise.networks.architecture import Architecture
from experiments.recognise.networks.frameworks import Framework
from experiments.recognise.networks.network import Batch, Matrix, Network
from experiments.recognise.predictor import recogniser
from experiments.recognise.rows import (
    Labelled,
    check_widths,
    is_whole_test_set,
    labelled,
    load_split,
)
from experiments.recognise.scores import Numbers, Scores

AT_ONCE = 128
"""Rows that go through a network together."""

Advance = Callable[[int, int], None]
"""Told of (videos since the last call, all there are)."""


@dataclass(frozen=True)
class Evaluation:
    """What a network gave for test videos.

    `whole` tells whether they are all 960; `agreements` is empty where they are not, or where
    nothing was published of the network.
    """

    labels: tuple[str, ...]
    scores: Scores
    whole: bool
    published: bool = False
    agreements: list[Agreement] = field(default_factory=list)

    @property
    def agrees(self) -> bool | None:
        """Whether it is what was published; None if that cannot be told."""
        return all(one.holds for one in self.agreements) if self.agreements else None


def evaluate(
    package: str | os.PathLike[str],
    config: str,
    folder: str | os.PathLike[str],
    framework: Framework | None = None,
    advance: Advance = lambda done, total: None,
) -> Evaluation:
    """Let the network in `folder` recognise the test videos of a package.

    Raises:
        AvmitError: the network or the config cannot be read, or do not fit each other.
    """
    trained = recogniser(folder, framework)
    if trained.architecture.task == "correspondence":
        raise AvmitError(
            f"{trained.trained.name} is of the correspondence task, whose pairs are drawn by a "
            "run: give its command again, with --train, which tests a finished run anew"
        )
    where = f"{config} of {package}"
    rows = load_split(package, config, "test")
    check_widths(rows, trained.architecture.widths, where, trained.trained.name)
    test = labelled(rows, trained.labels, where)
    scores = scored(
        trained.network,
        batches_of(test, trained.architecture),
        test.truth,
        lambda done: advance(done, len(test)),
    )
    whole = is_whole_test_set(scores.truth, test.labels)
    published = read_results(Path(folder))
    found = agreements(published, scores) if whole and published is not None else []
    return Evaluation(test.labels, scores, whole, published is not None, found)


def batches_of(data: Labelled, architecture: Architecture, size: int = AT_ONCE) -> Any:
    """Return batches of rows in their order, as a network takes them."""
    return batches(
        data.rows,
        size,
        audio="audio" in architecture.modalities,
        visual="visual" in architecture.modalities,
        timesteps=architecture.timesteps,
    )


def scored(
    network: Network,
    of_rows: Iterable[Batch],
    truth_of: Callable[[Any], Any],
    advance: Callable[[int], None] = lambda done: None,
) -> Scores:
    """Return the probabilities that a network gives for batches, and their classes.

    Args:
        network: the network.
        of_rows: the batches.
        truth_of: turns their `label` into the numbers of the network's classes.
        advance: told how many rows were done since the last call.
    """
    probabilities: list[Matrix] = []
    truth: list[Numbers] = []
    for batch in of_rows:
        probabilities.append(network.probabilities(batch))
        truth.append(truth_of(batch["label"]))
        advance(len(truth[-1]))
    return Scores(np.concatenate(probabilities), np.concatenate(truth))
