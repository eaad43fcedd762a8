"""How well classes lie apart: is a row nearest to the mean of its own class?"""

import numpy as np
import numpy.typing as npt

from extraction.compare.resampling import Floats

_ROWS = 4096


def correct(
    vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Tell for each row of `vectors` (N, D) whether its own class has the nearest mean, Euclidean.

    The mean of its own class is that of the class's other rows, so that no row speaks for itself;
    every class has two rows or more. Of classes that are as near, the first is taken.
    """
    classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    mean = vectors.mean(axis=0, dtype=np.float64)
    sums = np.zeros((len(classes), vectors.shape[1]))
    for number in range(len(classes)):
        sums[number] = vectors[numbers == number].sum(axis=0, dtype=np.float64)
    centroids = sums / counts[:, None] - mean
    lengths: Floats = (centroids**2).sum(axis=1)
    # |x - m|, where m is the mean without x, is n / (n - 1) times that from the mean with it.
    own = (counts / (counts - 1)) ** 2
    out = np.empty(len(vectors), bool)
    for start in range(0, len(vectors), _ROWS):
        rows = vectors[start : start + _ROWS] - mean
        of_rows = numbers[start : start + len(rows)]
        each = np.arange(len(rows))
        distances = (rows**2).sum(axis=1)[:, None] - 2 * (rows @ centroids.T) + lengths
        distances[each, of_rows] *= own[of_rows]
        out[start : start + len(rows)] = distances.argmin(axis=1) == of_rows
    return out


def several(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which rows are of a class that has another row, too."""
    _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    out: npt.NDArray[np.bool_] = (counts >= 2)[numbers] & (labels >= 0)
    return out
