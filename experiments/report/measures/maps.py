"""Two-dimensional maps of embeddings: principal components, or UMAP where it is installed."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from experiments.extras import require
from experiments.report.measures.embeddings import Matrix

Kind = Literal["pca", "umap"]
EXTRA = "'avmit[report]'"
_LARGE = 1e15
GRID = 30_000
"""Positions are whole numbers up to this, far finer than a screen: less to write than floats."""


def position(matrix: Matrix, kind: Kind = "pca") -> npt.NDArray[np.float32]:
    """Return (rows, 2) positions of rows, the same for the same rows.

    Raises:
        AvmitError: there is no such kind of map, or what makes it is not installed.
    """
    if kind not in get_args(Kind):
        raise AvmitError(f"--map {kind}: it is one of {', '.join(get_args(Kind))}")
    if len(matrix) < 3:
        return np.zeros((len(matrix), 2), np.float32)
    if kind == "umap":
        umap = require("umap", "a map by UMAP", "umap-learn")
        return np.asarray(umap.UMAP(random_state=0).fit_transform(matrix), np.float32)
    decomposition = require("sklearn.decomposition", "a report", EXTRA)
    return np.asarray(reduced(decomposition, matrix, 2), np.float32)


def reduced(decomposition: object, matrix: Matrix, count: int) -> Matrix:
    """Return the first principal components, as far as there are so many.

    Values whose squares are no float32 are made smaller, all by one factor, and NaN is 0.
    """
    count = min(count, *matrix.shape)
    if not np.isfinite(matrix).all():
        matrix = np.nan_to_num(matrix, nan=0.0)
    largest = np.abs(matrix).max(initial=0)
    if largest > _LARGE:
        matrix = matrix / largest
    pca = decomposition.PCA(count, svd_solver="randomized", iterated_power=4, random_state=0)  # type: ignore[attr-defined]
    components: Matrix = pca.fit_transform(matrix)
    if components.shape[1] < 2:
        components = np.pad(components, ((0, 0), (0, 2 - components.shape[1])))
    return components


def on_grid(positions: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Return positions as whole numbers from 0 to GRID, both axes by one scale."""
    low = positions.min(axis=0, initial=np.inf)
    size = float((positions.max(axis=0, initial=-np.inf) - low).max()) if len(positions) else 1.0
    whole: npt.NDArray[np.int16] = np.rint((positions - low) * (GRID / (size or 1.0))).astype(
        np.int16
    )
    return whole
