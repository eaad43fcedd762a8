"""The test videos, which no choice may touch."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError, load
from experiments.choices.named import filenames
from experiments.feeding.rows import Part
from experiments.feeding.tables.sides import side

_HOW = 'pass test=avmit.load("test_set", "test", data_dir=...), a CSV with their filename, or names'


def test_names(parts: Sequence[Part], test: Any) -> set[str]:
    """Return the names of the test videos.

    Args:
        parts: of the rows that are chosen from.
        test: rows, a table, the path of one, or names; None for the test set of the packages that
            the rows are mapped from.

    Raises:
        AvmitError: they are not known, or have no column `filename`.
    """
    if test is None:
        return {name for package in _packages(parts) for name in _test_set(package)}
    if isinstance(test, (Sequence, Set, np.ndarray)) and not isinstance(test, str):
        names = list(test)
        if all(isinstance(name, str) for name in names):
            return set(names)
        raise AvmitError(f"test= is no list of names: {_HOW}")
    there = filenames(side(test, "test").parts, "test=")
    return {name for name in there.to_pylist() if name is not None}


def _packages(parts: Sequence[Part]) -> list[Path]:
    """Return the packages of the mapped shards: what is mapped is a link to one."""
    shards = {file["filename"] for part in parts for file in part.dataset.cache_files}
    above = {Path(shard).resolve().parent.parent for shard in shards}
    found = sorted(package for package in above if (package / "test_set").is_dir())
    if not found:
        raise AvmitError(
            "which videos are the test set's is not known, since these rows are not mapped from a "
            f"package that has it: {_HOW}"
        )
    return found


def _test_set(package: Path) -> list[str]:
    rows = load("test_set", "test", data_dir=package, columns=["filename"])
    names: list[str] = rows["filename"][:]
    return names
