"""The nearest neighbours of clips, by the cosine of their embeddings."""

import numpy as np
import numpy.typing as npt

from experiments.report.measures.embeddings import Matrix, norms

Rows = npt.NDArray[np.int64]
NONE = -1
"""Stands for a neighbour that there is not."""
_BLOCK = 512
"""Rows whose similarities with all others are in memory together."""


def unit(matrix: Matrix) -> Matrix:
    """Return rows of length 1; those of zeros stay, and those with NaN or infinities are zeros."""
    length = norms(matrix)[:, None]
    made = np.empty(matrix.shape, np.float32)
    with np.errstate(invalid="ignore"):
        np.divide(matrix, np.where(length > 0, length, 1), out=made, casting="unsafe")
    made[~np.isfinite(length[:, 0])] = 0
    return made


def narrowed(units: Matrix, count: int) -> Matrix:
    """Return rows in the `count` directions that keep most of their lengths, and so of cosines."""
    if min(units.shape) <= count:
        return units
    _, axes = np.linalg.eigh((units.T @ units).astype(np.float64))
    directions: Matrix = axes[:, : -count - 1 : -1].astype(np.float32)
    return units @ directions


def neighbours(
    matrix: Matrix, rows: Rows, count: int, within: int | None = None
) -> tuple[Rows, npt.NDArray[np.float32]]:
    """Return the `count` nearest other rows of each of `rows`, nearest first, and their cosines.

    As many as there are, of fewer rows. Of rows that are as near as each other, the first counts.
    Rows with NaN or infinities have no neighbours and are none: NONE, with a cosine of NaN. With
    `within`, neighbours are looked for among so many components; their cosines are of all values.
    """
    count = min(count, len(matrix) - 1)
    units = unit(matrix)
    looked = units if within is None else unit(narrowed(units, within))
    broken = ~np.isfinite(norms(matrix))
    found = np.full((len(rows), max(count, 0)), NONE, np.int64)
    cosines = np.full(found.shape, np.nan, np.float32)
    for start in range(0, len(rows) if count > 0 else 0, _BLOCK):
        chosen = rows[start : start + _BLOCK]
        similar = looked[chosen] @ looked.T
        similar[:, broken] = -np.inf
        similar[broken[chosen]] = -np.inf
        lines = np.arange(len(chosen))
        similar[lines, chosen] = -np.inf
        for place in range(count):
            best = similar.argmax(axis=1)
            there = similar[lines, best] > -np.inf
            found[start : start + _BLOCK, place] = np.where(there, best, NONE)
            cosines[start : start + _BLOCK, place] = np.where(there, similar[lines, best], np.nan)
            similar[lines, best] = -np.inf
    if looked is not units:
        _measure(units, rows, found, cosines)
    return found, cosines


def _measure(units: Matrix, rows: Rows, found: Rows, cosines: npt.NDArray[np.float32]) -> None:
    """Take cosines anew from all values, and put neighbours in their order."""
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        exact = np.einsum("rnd,rd->rn", units[found[part]], units[rows[part]])
        exact[found[part] == NONE] = np.nan
        order = np.argsort(-exact, axis=1, kind="stable")
        found[part] = np.take_along_axis(found[part], order, axis=1)
        cosines[part] = np.take_along_axis(exact, order, axis=1)
