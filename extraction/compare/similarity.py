"""How alike two sets of embeddings are whose values cannot be compared, of other widths."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from extraction.compare.centroids import correct, several
from extraction.compare.cka import alignment
from extraction.compare.neighbours import overlap
from extraction.compare.resampling import Estimate, mean_estimates, sample
from extraction.compare.rsa import agreement, constant

MOST = 1000
"""Videos whose pairs RSA goes through, and whose neighbours are sought: a seeded sample of more."""
NEIGHBOURS = 10


@dataclass(frozen=True)
class Similarity:
    """Two configs' embeddings in one column, each video's mean over its timesteps.

    `left_out` counts videos whose values are not finite or that lack timesteps on a side. Of
    `rsa_videos` all pairs were compared, and for `queries` the `neighbours` nearest of all videos
    were sought; `overlap_by_chance` is what two unrelated sets would share. Accuracies are of the
    nearest centroid of `classes` classes, of the `scored` videos whose class has another video.
    """

    widths: tuple[int, int]
    videos: int
    left_out: int
    cka: Estimate
    cka_biased: Estimate
    rsa: Estimate
    rsa_videos: int
    neighbours: int
    overlap: Estimate
    overlap_by_chance: float | None
    queries: int
    accuracy_a: Estimate
    accuracy_b: Estimate
    accuracy_difference: Estimate
    classes: int
    scored: int


def similarity(
    a: npt.NDArray[np.float32],
    b: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    seed: int = 0,
) -> Similarity:
    """Compare `a` (N, D) and `b` (N, E), vectors of the same N videos, of which these are labels.

    Memory is bounded: beside copies of `a` and `b` at most, some 100 MB whatever N is.
    """
    whole = np.logical_and(np.isfinite(a).all(axis=1), np.isfinite(b).all(axis=1))
    left_out = len(whole) - int(whole.sum())
    if left_out:
        a, b, labels = a[whole], b[whole], labels[whole]
    chosen = sample(len(a), MOST, seed)
    varied = chosen[~(constant(a[chosen]) | constant(b[chosen]))]
    aligned = alignment(a, b, seed)
    k = min(NEIGHBOURS, len(a) - 1)
    shared = overlap(a, b, chosen, k) if k > 0 else np.empty(0)
    scored = several(labels)
    classes = len(np.unique(labels[scored]))
    right = np.empty((0, 3))
    if classes > 1:
        kept = (a, b) if scored.all() else (a[scored], b[scored])
        in_a, in_b = (correct(side, labels[scored]).astype(np.float64) for side in kept)
        right = np.stack([in_a, in_b, in_b - in_a], axis=1)
    (shared_mean,) = mean_estimates(shared[:, None], seed)
    accuracies = mean_estimates(right, seed)
    return Similarity(
        widths=(a.shape[1], b.shape[1]),
        videos=len(a),
        left_out=left_out,
        cka=aligned.debiased,
        cka_biased=aligned.biased,
        rsa=agreement(a[varied], b[varied], seed),
        rsa_videos=len(varied),
        neighbours=max(0, k),
        overlap=shared_mean,
        overlap_by_chance=k / (len(a) - 1) if k > 0 else None,
        queries=len(chosen) if k > 0 else 0,
        accuracy_a=accuracies[0],
        accuracy_b=accuracies[1],
        accuracy_difference=accuracies[2],
        classes=classes,
        scored=len(right),
    )
