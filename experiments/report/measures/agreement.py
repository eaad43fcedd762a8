"""How far raters agree: Fleiss' kappa from counts, where videos have different numbers of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Z = 1.959964
"""Of a 95% interval."""


@dataclass(frozen=True)
class Agreement:
    """Kappa with its 95% interval, from the videos with two ratings or more; NaN for none."""

    videos: int
    kappa: float
    low: float
    high: float


def fleiss_kappa(counts: npt.NDArray[np.int64]) -> Agreement:
    """Return the agreement of ratings, of which `counts` (videos, values) has how many say what.

    It is Fleiss' kappa as generalised to any number of ratings a video (Gwet, Handbook of
    Inter-Rater Reliability, 4th ed., 2014, section 3.3): the agreement on a video is the share of
    pairs of its ratings that agree, and a value's chance is the mean over videos of its share of
    their ratings. For equal numbers that is Fleiss' own (1971). The interval is by the linearised
    variance over videos. It is NaN where all ratings are one value, and nothing is left to chance.
    """
    n = counts.sum(axis=1)
    counts = counts[n >= 2].astype(np.float64)
    total = counts.sum(axis=1)
    if not len(counts):
        return Agreement(0, np.nan, np.nan, np.nan)
    shares = counts / total[:, None]
    agreeing = ((counts**2).sum(axis=1) - total) / (total * (total - 1))
    chances = shares.mean(axis=0)
    chance = float((chances**2).sum())
    if len(counts) < 2 or 1 - chance < 1e-12:
        return Agreement(len(counts), np.nan, np.nan, np.nan)
    kappa = float((agreeing.mean() - chance) / (1 - chance))
    influence = (agreeing - agreeing.mean()) / (1 - chance)
    influence -= 2 * (1 - kappa) * (shares @ chances - chance) / (1 - chance)
    error = float(np.sqrt((influence**2).sum() / (len(counts) * (len(counts) - 1))))
    return Agreement(len(counts), kappa, kappa - _Z * error, min(kappa + _Z * error, 1.0))
