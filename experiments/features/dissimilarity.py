"""Representational dissimilarity matrices of features, between clips or between classes."""

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from avmit import AvmitError

if TYPE_CHECKING:
    from experiments.features.dense import Features

Metric = Literal["correlation", "euclidean", "cosine"]
By = Literal["clip", "class"]
MOST = 20_000
"""Rows of a matrix of dissimilarities, which then takes 3.2 GB."""


def dissimilarities(
    features: "Features", modality: str, metric: Metric, by: By
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return a square matrix of dissimilarities, and the row or the class that each line is of.

    Each row is taken as one vector, of pool none with its timesteps side by side. A row without
    variance has no correlation, and one of zeros no cosine, with any other: NaN.

    Raises:
        AvmitError: there are more than MOST rows, no labels, or no such metric.
    """
    for name, value, kinds in (("metric", metric, Metric), ("by", by, By)):
        if value not in get_args(kinds):
            raise AvmitError(f"{name}={value!r}: it is one of {', '.join(get_args(kinds))}")
    matrix = features.matrix(modality)
    matrix = matrix.reshape(len(matrix), -1)
    if by == "class":
        vectors, numbers = _class_means(features, matrix)
    else:
        if len(matrix) > MOST:
            raise AvmitError(
                f"a matrix of {len(matrix):,} by {len(matrix):,} clips does not fit: choose at "
                f'most {MOST:,}, or by="class"'
            )
        vectors, numbers = matrix.astype(np.float64), np.arange(len(matrix))
    return _square(vectors, metric), numbers


def _class_means(
    features: "Features", matrix: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    if features.labels is None:
        raise AvmitError('by="class" needs labels, which these rows do not have: by="clip"')
    there = np.unique(features.labels[features.labels >= 0])
    means = np.empty((len(there), matrix.shape[1]))
    for line, label in zip(means, there.tolist(), strict=True):
        line[:] = matrix[features.labels == label].mean(axis=0, dtype=np.float64)
    return means, there


def _square(vectors: npt.NDArray[np.float64], metric: Metric) -> npt.NDArray[np.float64]:
    """Compute all dissimilarities; `vectors` are changed."""
    if metric == "euclidean":
        # About their mean, for squares of what lies far off would swallow the differences.
        vectors -= vectors.mean(axis=0)
        squares = (vectors**2).sum(axis=1)
        out: Any = vectors @ vectors.T
        out *= -2
        for line, square in zip(out, squares, strict=True):
            line += square + squares
        np.sqrt(np.maximum(out, 0, out=out), out=out)
    else:
        if metric == "correlation":
            vectors -= vectors.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            vectors /= norms
        out = vectors @ vectors.T
        np.clip(np.subtract(1, out, out=out), 0, 2, out=out)
    known = ~np.isnan(out.diagonal())
    out[np.flatnonzero(known), np.flatnonzero(known)] = 0
    return out  # type: ignore[no-any-return]
