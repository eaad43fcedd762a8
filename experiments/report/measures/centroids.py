"""How well classes are told apart by the nearest mean: accuracy and confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.report.measures.embeddings import Embedded, Matrix, norms
from experiments.report.measures.nearest import unit

_FOLDS = 5


@dataclass(frozen=True)
class Confusion:
    """Rows of a class by the class whose mean is nearest: counts (classes, classes)."""

    classes: list[str]
    counts: npt.NDArray[np.int64]
    how: str

    @property
    def accuracy(self) -> float:
        """The share of rows whose own class it is."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")


def nearest_centroid(embedded: Embedded, modality: str) -> Confusion | None:
    """Tell the classes of the split `test` by the means of other splits' rows of those classes.

    Of a package without such splits, every fifth row is told by the means of the others, five
    times over. Rows have length 1, so that nearest is by the cosine; those that are not finite are
    left out. None where there are no two classes to be told apart.
    """
    matrix = embedded.features.matrix(modality)
    finite = np.isfinite(norms(matrix))
    labels: npt.NDArray[np.object_] = np.array(embedded.labels, object)
    labels[~finite] = ""
    test = np.array([split == "test" for split in embedded.splits])
    vectors = unit(matrix)
    if test.any() and not test.all():
        known = set(labels[~test].tolist()) & set(labels[test].tolist()) - {""}
        if len(known) >= 2:
            classes = sorted(known)
            counts = confusion(vectors, labels, ~test, test, classes)
            return Confusion(classes, counts, "means of train, told of test")
    classes = sorted(label for label in set(labels.tolist()) - {""} if (labels == label).sum() > 1)
    if len(classes) < 2:
        return None
    fold = np.zeros(len(labels), np.int64)
    for label in classes:
        fold[labels == label] = np.arange((labels == label).sum()) % _FOLDS
    counts = sum(
        (confusion(vectors, labels, fold != one, fold == one, classes) for one in range(_FOLDS)),
        np.zeros((len(classes), len(classes)), np.int64),
    )
    return Confusion(classes, counts, f"{_FOLDS} folds")


def confusion(
    vectors: Matrix,
    labels: npt.NDArray[np.object_],
    learned: npt.NDArray[np.bool_],
    told: npt.NDArray[np.bool_],
    classes: Sequence[str],
) -> npt.NDArray[np.int64]:
    """Count rows `told` by their class and by the class of the nearest mean of rows `learned`."""
    means = np.stack(
        [vectors[learned & (labels == label)].mean(axis=0, dtype=np.float64) for label in classes]
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-30
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for number, label in enumerate(classes):
        rows = vectors[told & (labels == label)].astype(np.float64)
        counts[number] = np.bincount((rows @ means.T).argmax(axis=1), minlength=len(classes))
    return counts
