"""The rows that a network for recognition is trained, validated and tested on."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from avmit import AvmitError
from conversion.wording import printable
from experiments.choices import select, splits
from experiments.choices.paper import Choice, read_choice
from experiments.feeding.batches import batches
from experiments.recognise.evaluation import batches_of, scored
from experiments.recognise.networks.architecture import Architecture
from experiments.recognise.networks.network import Batch, Network
from experiments.recognise.rows import Labelled, is_whole_test_set, labelled, load_split
from experiments.recognise.runs.settings import Settings
from experiments.recognise.scores import Scores


class Data(Protocol):
    """What a network is trained, validated and tested on."""

    @property
    def batches(self) -> int:
        """How many batches an epoch of training has."""

    def training(self, epoch: int) -> Iterable[Batch]:
        """Return the batches of an epoch, from 0 on: the same ones each time."""

    def validated(self, network: Network) -> Scores:
        """Return what the network gives for the rows of validation."""

    def tested(self, network: Network) -> Scores:
        """Return what the network gives for the test videos."""


class Chosen:
    """The videos for training and validation, and those of the test set.

    `settings` are those asked for, with the numbers of videos that there are.
    """

    def __init__(
        self,
        package: Any,
        settings: Settings,
        labels: Sequence[str],
        choice_from: str | os.PathLike[str] | None,
    ):
        where = f"{settings.config} of {package}"
        rows = load_split(package, settings.config, "train")
        test = load_split(package, settings.config, "test")
        if settings.videos == "paper":
            both = [
                _of_paper(rows, "paper-train", choice_from, where),
                _of_paper(rows, "paper-validation", choice_from, where),
            ]
        else:
            found = splits(
                rows,
                settings.per_class,
                settings.validation,
                settings.seed,
                labels=labels,
                test=test,
            )
            both = [found["train"], found["validation"]]
            per_class, validation = (len(rows) // len(labels) for rows in both)
            settings = replace(settings, per_class=per_class, validation=validation)
        self.settings = settings
        self.training = labelled(both[0], labels, where)
        self.validation = labelled(both[1], labels, where)
        self.test = labelled(test, labels, where)

    @property
    def is_whole_test_set(self) -> bool:
        """Whether the test videos are all 960."""
        label = self.test.rows.with_format("numpy", columns=["label"])["label"]
        return is_whole_test_set(self.test.truth(np.asarray(label)), self.test.labels)

    def described(self) -> dict[str, Any]:
        """Return what tells these videos from others: how many, and a hash of their names."""
        return {"training": _described(self.training), "validation": _described(self.validation)}


def _of_paper(rows: Any, choice: Choice, place: str | os.PathLike[str] | None, where: str) -> Any:
    """Return the rows of the authors' videos, all of them.

    Raises:
        AvmitError: rows lack some, or as `avmit.select`.
    """
    wanted = read_choice(choice, place)
    there = set(rows.with_format(None)["filename"])
    lacked = [name for name in wanted.rows["filename"] if name not in there]
    if lacked:
        raise AvmitError(
            f"{where} lacks {len(lacked):,} of the {len(wanted.rows):,} videos of {wanted.file} "
            f"({printable(lacked[0])} is the first): convert the whole release, or pass "
            "--choice balanced"
        )
    return select(rows, choice=choice, choice_from=place)


class Recognition:
    """Batches of videos with their classes; see `Data`."""

    def __init__(self, chosen: Chosen, made: Architecture, settings: Settings):
        self._chosen = chosen
        self._made = made
        self._size = settings.batch_size
        self._batches = batches(
            chosen.training.rows,
            self._size,
            audio="audio" in made.modalities,
            visual="visual" in made.modalities,
            timesteps=made.timesteps,
            shuffle=True,
            seed=settings.seed,
        )

    @property
    def batches(self) -> int:
        """How many batches an epoch of training has."""
        return -(-len(self._chosen.training) // self._size)

    def training(self, epoch: int) -> Iterable[Batch]:
        """Return the batches of an epoch."""
        self._batches.set_epoch(epoch)
        for batch in self._batches:
            yield _numbered(batch, self._chosen.training)

    def validated(self, network: Network) -> Scores:
        """Return what the network gives for the rows of validation."""
        return self._scored(network, self._chosen.validation)

    def tested(self, network: Network) -> Scores:
        """Return what the network gives for the test videos."""
        return self._scored(network, self._chosen.test)

    def _scored(self, network: Network, rows: Labelled) -> Scores:
        return scored(network, batches_of(rows, self._made), rows.truth)


def _numbered(batch: Mapping[str, Any], rows: Labelled) -> Batch:
    return {**batch, "label": rows.truth(batch["label"])}


def _described(rows: Labelled) -> dict[str, Any]:
    names = "\n".join(rows.rows.with_format(None)["filename"])
    return {"videos": len(rows), "filenames_sha256": hashlib.sha256(names.encode()).hexdigest()}
