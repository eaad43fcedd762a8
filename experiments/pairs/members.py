"""Whose audio, and whose frames, each class has."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avmit import AvmitError
from conversion.wording import printable
from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import NOT_THERE, Numbers
from experiments.feeding.tables.conditions import Mask, with_audio
from experiments.feeding.tables.labels import label_column
from experiments.feeding.tables.seen import small_names


@dataclass(frozen=True)
class Members:
    """The classes that rows have, by name; each row's number in them; which rows have audio."""

    classes: tuple[str, ...]
    label: Numbers
    audible: Mask

    def count(self, audible: bool) -> Numbers:
        """Return how many rows each class has, or how many with audio."""
        labels = self.label[self.audible] if audible else self.label
        return np.bincount(labels, minlength=len(self.classes))


def members_of(parts: Sequence[Part]) -> Members:
    """Look at the classes of rows, and at `has_audio` where that is known.

    Raises:
        AvmitError: a row is of no class, or there are no rows.
    """
    column = label_column(parts, "pairs")
    every = column.renumbered(column.names)
    labels: Numbers = np.append(every, NOT_THERE)[column.part.at(np.arange(len(column.part)))]
    if not len(labels):
        raise AvmitError("pairs of no rows: choose others")
    if none := int((labels == NOT_THERE).sum()):
        raise AvmitError(
            f"{none:,} of {len(labels):,} rows are of no class: leave them out with "
            "avmit.select(rows, labels=...)"
        )
    there, numbers = np.unique(labels, return_inverse=True)
    silent = (
        with_audio(parts, False)
        if "has_audio" in small_names(parts)
        else np.zeros(len(labels), bool)
    )
    names = tuple(column.names[number] for number in there)
    return Members(names, numbers.astype(np.int64).reshape(-1), ~silent)


def check_possible(members: Members, congruent: int, incongruent: int, itself: bool) -> None:
    """Refuse classes of which there is nothing to pair.

    Args:
        members: the classes.
        congruent: how many congruent pairs there are to be.
        incongruent: how many others.
        itself: whether a video's audio may go with its own frames.

    Raises:
        AvmitError: a class is too small, or there is one class alone.
    """
    if incongruent and len(members.classes) < 2:
        raise AvmitError(
            f"all rows are of class '{printable(members.classes[0])}', and incongruent pairs are "
            "of two: pass congruent=1, or choose more classes"
        )
    leave_out = "leave it out with avmit.select(rows, labels=...)"
    for name, audible, videos in zip(
        members.classes, members.count(True).tolist(), members.count(False).tolist(), strict=True
    ):
        if not audible:
            raise AvmitError(
                f"no video of class '{printable(name)}' has audio, by column 'has_audio': "
                f"{leave_out}"
            )
        if congruent and videos < 2 and not itself:
            raise AvmitError(
                f"class '{printable(name)}' has one video, and no other to pair it with: pass "
                f"itself=True, or {leave_out}"
            )
