"""Whether two sets of vectors have the same nearest neighbours, by the cosine."""

import numpy as np
import numpy.typing as npt

from extraction.compare.resampling import Floats

_QUERIES = 256
"""Rows whose similarities with all others are held at once: 117 MB of 57,177."""
_ROWS = 4096
_DIGITS = 12
"""To which similarities are rounded, so that those with copies of one row are equal."""

Vectors = npt.NDArray[np.float32]


def overlap(x: Vectors, y: Vectors, queries: npt.NDArray[np.int64], k: int) -> Floats:
    """Return for each query what share of its `k` nearest neighbours in `x` (N, D) are so in `y`.

    Neighbours are sought among all other rows, of which there are at least `k`. Of those that are
    equally near, the ones that come first are nearer.
    """
    out = np.empty(len(queries))
    lengths = _lengths(x), _lengths(y)
    for start in range(0, len(queries), _QUERIES):
        some = queries[start : start + _QUERIES]
        near = [nearest(v, of, some, k) for v, of in zip((x, y), lengths, strict=True)]
        for number, (one, other) in enumerate(zip(*near, strict=True)):
            out[start + number] = len(np.intersect1d(one, other, assume_unique=True)) / k
    return out


def nearest(
    vectors: Vectors, lengths: Floats, queries: npt.NDArray[np.int64], k: int
) -> npt.NDArray[np.int64]:
    """Return the numbers of the `k` rows nearest to each query but itself, (queries, k), in order
    of their numbers. `lengths` are those of the vectors; one of zeros is as near to all others.
    """
    asked = vectors[queries] / lengths[queries, None]
    alike = np.empty((len(queries), len(vectors)))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        alike[:, rows] = asked @ (vectors[rows] / lengths[rows, None]).T
    np.round(alike, _DIGITS, out=alike)
    alike[np.arange(len(queries)), queries] = -np.inf
    least = np.partition(alike, -k, axis=1)[:, -k]
    out = np.empty((len(queries), k), np.int64)
    for line, of_query, bound in zip(out, alike, least, strict=True):
        nearer = np.flatnonzero(of_query > bound)
        as_near = np.flatnonzero(of_query == bound)[: k - len(nearer)]
        line[:] = np.sort(np.concatenate([nearer, as_near]))
    return out


def _lengths(vectors: Vectors) -> Floats:
    out = np.empty(len(vectors))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows] = np.linalg.norm(vectors[rows].astype(np.float64), axis=1)
    out[out == 0] = 1.0
    return out
