"""The interpolation filter that resampy calls `kaiser_best`, computed from its parameters.

It is a sinc under a Kaiser window, as a table of one side, to be interpolated linearly (J. O.
Smith, "Digital Audio Resampling Home Page", https://ccrma.stanford.edu/~jos/resample/). resampy
0.4 ships the table, and rounds in its documentation the numbers that the table follows from.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

ZEROS = 50
"""Zero crossings of the sinc on one side."""
PER_ZERO = 2**13
"""Samples of the table from one zero crossing to the next."""
BETA = 12.984585247040012
"""Of the Kaiser window."""
ROLLOFF = 0.9173473712608761
"""Where the filter cuts off, as a part of the Nyquist frequency."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wing:
    """One side of the filter, stretched for a ratio of rates.

    `values` and `slopes` (step + 1, width) have a row for each place in the table where the taps
    may begin, the one next to the output first; those left out are 0, and `counts` (step + 1,) has
    how many are not.
    """

    step: int
    values: Floats
    slopes: Floats
    counts: npt.NDArray[np.int64]

    @property
    def width(self) -> int:
        """The most taps that there are on this side."""
        return int(self.values.shape[1])

    def taps(self, places: Floats) -> Floats:
        """Return the taps that begin at `places`, from 0 to `step`, as (len(places), width)."""
        rows = places.astype(np.int64)
        return np.asarray(self.values[rows] + (places - rows)[:, None] * self.slopes[rows])


@lru_cache(1)
def half_window() -> Floats:
    """Return the filter from its centre to its end, (ZEROS * PER_ZERO + 1,)."""
    zeros = np.linspace(0, ZEROS, ZEROS * PER_ZERO + 1)
    window = np.i0(BETA * np.sqrt(1 - (zeros / ZEROS) ** 2)) / np.i0(BETA)
    return np.asarray(window * ROLLOFF * np.sinc(ROLLOFF * zeros))


@lru_cache(4)
def wing(scale: float) -> Wing:
    """Return a side of the filter for `scale` = min(1, new rate / old rate), as resampy uses it.

    It takes each `int(scale * PER_ZERO)`th sample of the table, and leaves out a last tap beyond
    which there are not as many.
    """
    table = half_window()
    step = int(scale * PER_ZERO)
    width = len(table) // step
    at = np.arange(step + 1)[:, None] + step * np.arange(width)
    within = at + step <= len(table)
    values = np.where(within, np.append(table, np.zeros(2 * step))[at], 0)
    slopes = np.where(within, np.append(np.diff(table), np.zeros(2 * step + 1))[at], 0)
    return Wing(step, scale * values, scale * slopes, within.sum(1))
