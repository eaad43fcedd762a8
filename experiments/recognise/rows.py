"""Which rows of a package a network is trained and tested on."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import avmit
from avmit import AvmitError
from conversion.wording import printable, some
from experiments.choices import select
from experiments.feeding.rows import rows as view_of

TEST_VIDEOS_PER_CLASS = 60
"""Of each of the 16 classes, 960 in all (arXiv 2308.09685)."""


@dataclass(frozen=True)
class Labelled:
    """Rows with their classes, and the number in `labels` of each number in their `label`."""

    rows: Any
    labels: tuple[str, ...]
    numbers: Any

    def __len__(self) -> int:
        return len(self.rows)

    def truth(self, label: Any) -> Any:
        """Return the classes of a batch, from its entry `label`."""
        return self.numbers[np.asarray(label)]


def load_split(package: Any, config: str, split: str) -> Any:
    """Load a split, without a warning of how labels are numbered, which are taken by their names.

    Raises:
        AvmitError: as `avmit.load`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return avmit.load(config, split, data_dir=package)


def labelled(rows: Any, labels: Sequence[str], where: str) -> Labelled:
    """Return the rows of these classes, numbered in this order.

    Raises:
        AvmitError: there are no such classes, or no rows of them.
    """
    names = getattr(rows.features.get("label"), "names", None)
    if names is None:
        raise AvmitError(f"{where} has no column 'label' of classes: it is no config of embeddings")
    missing = [name for name in labels if name not in names]
    if missing:
        raise AvmitError(
            f"{where} has no class {some([printable(name) for name in missing])}, which the "
            f"network tells apart: use a package with all {len(labels)} classes"
        )
    chosen = select(rows, labels=list(labels), relabel=True)
    order = [labels.index(name) for name in chosen.features["label"].names]
    return Labelled(chosen, tuple(labels), np.array(order, np.int64))


def check_widths(rows: Any, wanted: Sequence[tuple[str, int]], where: str, name: str) -> None:
    """Refuse rows whose embeddings are not as wide as a network takes them.

    Raises:
        AvmitError: they are not, or one modality is not there.
    """
    found = widths_of(rows)
    for modality, width in wanted:
        if modality not in found:
            raise AvmitError(f"{where} has no {modality} embeddings, which {name} takes")
        if found[modality] != width:
            raise AvmitError(
                f"{where} has {modality} embeddings of width {found[modality]}, and {name} takes "
                f"{width}: name the config that it was trained on"
            )


def widths_of(rows: Any) -> dict[str, int]:
    """Return the width of each modality that rows have."""
    there = set(rows.column_names)
    return dict(view_of(rows, "audio" in there, "visual" in there, ()).widths)


def is_whole_test_set(truth: Any, labels: Sequence[str]) -> bool:
    """Tell whether these are as many videos of each class as the test set has."""
    if sorted(labels) != list(avmit.TEST_CLASSES):
        return False
    counts = np.bincount(truth, minlength=len(labels))
    return bool((counts == TEST_VIDEOS_PER_CLASS).all())
