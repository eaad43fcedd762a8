"""Balanced choices for training and validation: `avmit.splits`."""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from avmit import TEST_CLASSES, AvmitError
from conversion.spelled import Spelled, argument, spelled
from conversion.wording import printable
from experiments.choices.clips import Clips, by_name, clips_of
from experiments.choices.kept_out import test_names
from experiments.choices.named import filenames, is_named
from experiments.choices.selecting import select
from experiments.choices.sides import NotEnough, deal, most_of_each
from experiments.choices.sources import source_of
from experiments.feeding.batches.options import whole_number
from experiments.feeding.rows.columns import NOT_THERE
from experiments.feeding.rows.part import parts_of
from experiments.feeding.tables import Joined
from experiments.feeding.tables.conditions import enough
from experiments.feeding.tables.labels import label_column

PER_CLASS, VALIDATION = 410, 46
"""Videos of each class that the paper trains and validates on (arXiv 2308.09685)."""


def splits(
    source: Any,
    per_class: int | None = PER_CLASS,
    validation: int | None = VALIDATION,
    seed: int = 0,
    min_r3: int | None = 2,
    *,
    labels: Sequence[str | int] | None = None,
    test: Any = None,
    keep_test_sources: bool = False,
    relabel: bool = False,
) -> dict[str, Any]:
    """Choose as many videos of each class for training, and for validation, at random.

    No clip is of the test set, and none of the source videos of its clips; no source video has
    clips in both choices. Which videos are chosen follows from the seed and from which videos there
    are, not from their order, and is the same on every machine: another config of the same videos
    gives the same.

    Args:
        source: a `Dataset` of `avmit.load` or `load_dataset`, or what `avmit.join` returned.
        per_class: videos of each class for training; the paper's number. None for as many as there
            can be, up to that.
        validation: videos of each class for validation; the paper's number. None for as many for
            each one for training as in the paper, at least one.
        seed: of the choice.
        min_r3: only videos of which at least so many ratings say 3, as the paper chose; None for
            all.
        labels: the classes, by name or number; None for the 16 of the test set.
        test: the test videos: rows, a table or its path, or names; None for the test set of the
            package that the rows are mapped from.
        keep_test_sources: also choose clips whose source video has a clip in the test set, as the
            paper's own choices do.
        relabel: number the classes from 0, as `avmit.select` does.

    Returns:
        `train` and `validation`, each of the kind of `source`, in its order.

    Raises:
        AvmitError: there are not enough videos, and the text says how many there can be; a video
            stands there twice; the test videos are not known; or as `avmit.select`.
    """
    if per_class is not None:
        per_class = whole_number("per_class", per_class, 1)
    if validation is not None:
        validation = whole_number("validation", validation, 1)
    seed = whole_number("seed", seed, 0)
    parts = parts_of(source)
    if not isinstance(source, (datasets.Dataset, Joined)):
        raise AvmitError(f"nothing can be selected from a {type(source).__name__}")
    label = label_column(parts, "splits")
    classes = label.chosen(TEST_CLASSES if labels is None else labels)
    names = filenames(parts, "splits")
    numbers = np.append(label.renumbered(classes), NOT_THERE)[label.part.at(np.arange(len(names)))]
    tests = test_names(parts, test)
    candidates = (numbers >= 0) & names.is_valid().to_numpy() & ~is_named(names, list(tests))
    if min_r3 is not None:
        candidates &= enough(parts, min_r3)
    rows = by_name(names, np.flatnonzero(candidates))
    sources = np.array([source_of(name) for name in names.take(pa.array(rows)).to_pylist()], object)
    near = set() if keep_test_sources else set(map(source_of, tests))
    left_out = np.array([source in near for source in sources], bool)
    clips = clips_of(numbers[rows[~left_out]], sources[~left_out], len(classes), seed)
    wanted = _wanted(clips, per_class, validation)
    try:
        chosen = deal(clips, *wanted)
    except NotEnough as short:
        others = int((numbers[rows[left_out]] == short.label).sum())
        raise _not_possible(clips, wanted, short.label, classes[short.label], others) from None
    both = {
        name: source.select(np.sort(rows[~left_out][places]))
        for name, places in zip(("train", "validation"), chosen, strict=True)
    }
    if not relabel:
        return both
    return {name: select(one, labels=classes, relabel=True) for name, one in both.items()}


def _wanted(clips: Clips, per_class: int | None, validation: int | None) -> tuple[int, int]:
    """Return how many of each class are asked for, on either side."""

    def beside(first: int) -> int:
        return _share(first) if validation is None else validation

    if per_class is None:
        per_class = most_of_each(clips, beside, PER_CLASS) or PER_CLASS
    return per_class, beside(per_class)


def _share(first: int) -> int:
    """Return how many are validated on beside so many that are trained on, as in the paper."""
    return max(first * VALIDATION // PER_CLASS, 1)


def _not_possible(
    clips: Clips, wanted: tuple[int, int], label: int, name: str, others: int
) -> AvmitError:
    """Say what is short, and how many there could be."""
    of_class = clips.label == label
    sources = len(np.unique(clips.source[of_class]))
    there = spelled(f"{int(of_class.sum()):,} to choose from, of {sources:,} source videos")
    if others:
        there = spelled(
            there,
            f", and {others:,} whose source has test videos",
            Spelled(" (keep_test_sources=True)", ""),
        )
    second = wanted[1]
    first = most_of_each(clips, lambda _: second, wanted[0] - 1)
    if not first:
        first = most_of_each(clips, _share, wanted[0])
        second = _share(first)
    instead = (
        spelled(argument("per_class", first), " is possible with ", argument("validation", second))
        if first
        else spelled(
            "it takes two source videos of each: ",
            Spelled("choose other classes with labels=", "convert the whole release"),
        )
    )
    return AvmitError(
        spelled(
            argument("per_class", wanted[0]),
            " and ",
            argument("validation", wanted[1]),
            f" are more than there are: class '{printable(name)}' has ",
            there,
            "; ",
            instead,
        )
    )
