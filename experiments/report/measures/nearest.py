"""The nearest neighbours of clips, by the cosine of their embeddings."""

import numpy as np
import numpy.typing as npt

from experiments.report.measures.embeddings import Matrix, norms

Rows = npt.NDArray[np.int64]
_BLOCK = 512
"""Rows whose similarities with all others are in memory together."""


def unit(matrix: Matrix) -> Matrix:
    """Return rows of length 1; those of zeros stay."""
    length = norms(matrix)[:, None]
    made = np.empty(matrix.shape, np.float32)
    return np.divide(matrix, np.where(length > 0, length, 1), out=made, casting="unsafe")


def neighbours(matrix: Matrix, rows: Rows, count: int) -> tuple[Rows, npt.NDArray[np.float32]]:
    """Return the `count` nearest other rows of each of `rows`, nearest first, and their cosines.

    As many as there are, of fewer rows. Of rows that are as near as each other, the first counts.
    """
    count = min(count, len(matrix) - 1)
    units = unit(matrix)
    found = np.empty((len(rows), count), np.int64)
    cosines = np.empty((len(rows), count), np.float32)
    for start in range(0, len(rows) if count > 0 else 0, _BLOCK):
        chosen = rows[start : start + _BLOCK]
        similar = units[chosen] @ units.T
        similar[np.arange(len(chosen)), chosen] = -np.inf
        near = np.sort(np.argpartition(-similar, count - 1, axis=1)[:, :count], axis=1)
        values = np.take_along_axis(similar, near, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        found[start : start + _BLOCK] = np.take_along_axis(near, order, axis=1)
        cosines[start : start + _BLOCK] = np.take_along_axis(values, order, axis=1)
    return found, cosines
