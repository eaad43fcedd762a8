"""Representational similarity analysis: do two sets of vectors find the same rows alike?

Kriegeskorte et al., Representational similarity analysis, 2008: the dissimilarities between all
pairs of rows, 1 - Pearson's r, of one set and of the other, compared by Spearman's rho.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from extraction.compare.resampling import Estimate, Floats, estimate, halves

Levels = npt.NDArray[np.int32]

_DIGITS = 12
"""To which dissimilarities are rounded, so that what is equal but for rounding is a tie."""


def agreement(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32], seed: int) -> Estimate:
    """Return Spearman's rho of the dissimilarities of `x` (N, D) and of `y` (N, E).

    It is None where there are fewer than three rows or all dissimilarities are equal. No row may be
    constant. The interval is by half of the rows.
    """
    if len(x) < 3:
        return Estimate(None)
    pairs = np.triu_indices(len(x), 1)
    drawn = halves(len(x), seed) if len(x) >= 8 else np.empty((0, len(x)), bool)
    squares = [_square(levels(dissimilarities(side)[pairs]), pairs) for side in (x, y)]
    found = [_compared(squares, np.flatnonzero(rows)) for rows in drawn]
    return estimate(_compared(squares, np.arange(len(x))), np.array(found))


def dissimilarities(vectors: npt.NDArray[np.float32]) -> Floats:
    """Return 1 - Pearson's r between all rows, (N, N)."""
    wide = vectors.astype(np.float64)
    wide -= wide.mean(axis=1, keepdims=True)
    wide /= np.abs(wide).max(axis=1, keepdims=True)  # of 1e38, the squares would be infinite
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return np.round(1 - wide @ wide.T, _DIGITS)


def constant(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell which rows have no variance, and so no correlation with any other."""
    out: npt.NDArray[np.bool_] = vectors.max(axis=1) == vectors.min(axis=1)
    return out


def levels(values: Floats) -> Levels:
    """Number values by their size, from 0; equal ones have one number."""
    _, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int32)


def spearman(a: Levels, b: Levels) -> float:
    """Return the rank correlation of two vectors of `levels`; NaN where one is constant."""
    of_a, of_b = ranks(a), ranks(b)
    of_a -= of_a.mean()
    of_b -= of_b.mean()
    norms = np.sqrt(of_a @ of_a) * np.sqrt(of_b @ of_b)
    return float(np.clip(of_a @ of_b / norms, -1, 1)) if norms > 0 else float("nan")


def ranks(numbers: Levels) -> Floats:
    """Return the rank of each of some `levels`, from 0; equal ones have the mean of theirs."""
    counts = np.bincount(numbers)
    out: Floats = (np.cumsum(counts) - (counts + 1) / 2)[numbers]
    return out


def _square(numbers: Levels, pairs: tuple[Any, Any]) -> Levels:
    size = int(pairs[0][-1]) + 2
    out = np.zeros((size, size), np.int32)
    out[pairs] = numbers
    return out


def _compared(squares: list[Levels], rows: npt.NDArray[np.int64]) -> float:
    first, second = np.triu_indices(len(rows), 1)
    places = rows[first], rows[second]
    return spearman(squares[0][places], squares[1][places])
