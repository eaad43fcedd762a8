"""Intervals by drawing rows again, the same with every version of NumPy.

Raw words of a bit generator stay what they are; NumPy does not promise that of its `Generator`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 400
"""How often half of the rows are drawn."""
BOOTSTRAPS = 1000
"""How often the rows are drawn with replacement, of which only means are taken."""
_PERCENTILES = (2.5, 97.5)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value, and the ends of its 95% interval; None where it cannot be said."""

    value: float | None
    low: float | None = None
    high: float | None = None


def sample(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the numbers of all of `count` rows, or of `most` of them drawn at random, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.argsort(_words(seed, 0, count), kind="stable")[:most])


def halves(count: int, seed: int) -> npt.NDArray[np.bool_]:
    """Draw half of `count` things without replacement, (DRAWS, count), true for those drawn.

    A statistic of pairs of rows, as CKA and RSA are, is not what it was where a row is drawn twice:
    the pair of a row with its own copy is as similar as can be. Without replacement there is none,
    and the mean of half of the rows varies about that of all of them as much as the mean of a
    bootstrap sample does (Shao and Tu, The Jackknife and Bootstrap, 1995, chapter 2.3).
    """
    words = _words(seed, 1, DRAWS * count).reshape(DRAWS, count)
    ranks = np.argsort(np.argsort(words, axis=1, kind="stable"), axis=1, kind="stable")
    drawn: npt.NDArray[np.bool_] = ranks < count // 2
    return drawn


def estimate(value: float, drawn: Floats | None = None) -> Estimate:
    """Return a value with the percentiles of what was drawn for it."""
    if not np.isfinite(value):
        return Estimate(None)
    known = np.empty(0) if drawn is None else drawn[np.isfinite(drawn)]
    if len(known) < DRAWS // 2:
        return Estimate(float(value))
    low, high = np.percentile(known, _PERCENTILES)
    return Estimate(float(value), float(low), float(high))


def mean_estimates(values: Floats, seed: int) -> list[Estimate]:
    """Return the mean of each column of `values` (rows, columns), by the bootstrap over rows."""
    rows = len(values)
    if rows == 0:
        return [Estimate(None) for _ in range(values.shape[1])]
    drawn = np.empty((BOOTSTRAPS, values.shape[1]))
    generator = np.random.Philox(key=np.array([seed, 2], np.uint64))
    for line in drawn:
        counts = np.bincount((generator.random_raw(rows) % np.uint64(rows)).astype(np.int64))
        line[:] = counts @ values[: len(counts)] / rows
    means = values.mean(axis=0)
    return [estimate(mean, column) for mean, column in zip(means, drawn.T, strict=True)]


def _words(seed: int, stream: int, count: int) -> npt.NDArray[np.uint64]:
    return np.random.Philox(key=np.array([seed, stream], np.uint64)).random_raw(count)
