"""Two-dimensional maps of embeddings: principal components, or UMAP where it is installed."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from experiments.extras import require
from experiments.report.measures.embeddings import Matrix, far_off

Kind = Literal["pca", "umap"]
EXTRA = "'avmit[report]'"
_LARGE = 1e15
COMPONENTS = 64
"""Neighbours are looked for among so many principal components, not in full width."""
_SAMPLE = 10_000
"""So many rows tell where components lie nearly as well as any more, in a fraction of the time."""
GRID = 30_000
"""Positions are whole numbers up to this, far finer than a screen: less to write than floats."""


def position(matrix: Matrix, kind: Kind = "pca") -> npt.NDArray[np.float32]:
    """Return (rows, 2) positions of rows, the same for the same rows.

    Rows that are far off have no say in the map, and stand at its lower left corner.

    Raises:
        AvmitError: there is no such kind of map, or what makes it is not installed.
    """
    if kind not in get_args(Kind):
        raise AvmitError(f"--map {kind}: it is one of {', '.join(get_args(Kind))}")
    decomposition = require("sklearn.decomposition", "a report", EXTRA)
    near = ~far_off(matrix)
    places = np.zeros((len(matrix), 2), np.float32)
    if near.sum() < 3:
        return places
    usual = matrix if near.all() else matrix[near]
    if (usual == usual[:1]).all():
        return places
    found = _umap(decomposition, usual) if kind == "umap" else reduced(decomposition, usual, 2)
    places[near] = found
    places[~near] = found.min(axis=0)
    return places


def _umap(decomposition: object, matrix: Matrix) -> Matrix:
    umap = require("umap", "a map by UMAP", "umap-learn")
    narrow = reduced(decomposition, matrix, COMPONENTS) if matrix.shape[1] > COMPONENTS else matrix
    count = len(matrix)
    start = "spectral" if count > 3 else "random"
    # One thread, for the same positions each time.
    made = umap.UMAP(n_neighbors=min(15, count - 1), init=start, random_state=0, n_jobs=1)
    return np.asarray(made.fit_transform(narrow), np.float32)


def reduced(decomposition: object, matrix: Matrix, count: int) -> Matrix:
    """Return the first principal components, as far as there are so many.

    Of many rows, an even sample tells where components lie. Values whose squares are no float32 are
    made smaller, all by one factor, and NaN is 0.
    """
    count = min(count, *matrix.shape)
    largest = max(matrix.max(initial=0), -matrix.min(initial=0))
    if not np.isfinite(largest):
        matrix = np.nan_to_num(matrix, nan=0.0)
        largest = max(matrix.max(initial=0), -matrix.min(initial=0))
    if largest > _LARGE:
        matrix = matrix / largest
    pca = decomposition.PCA(count, svd_solver="randomized", iterated_power=4, random_state=0)  # type: ignore[attr-defined]
    pca.fit(matrix[_evenly(len(matrix), _SAMPLE)] if len(matrix) > _SAMPLE else matrix)
    components: Matrix = pca.transform(matrix)
    if components.shape[1] < 2:
        components = np.pad(components, ((0, 0), (0, 2 - components.shape[1])))
    return components


def _evenly(rows: int, wanted: int) -> npt.NDArray[np.int64]:
    return np.arange(wanted, dtype=np.int64) * rows // wanted


def on_grid(positions: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Return positions as whole numbers from 0 to GRID, both axes by one scale."""
    low = positions.min(axis=0, initial=np.inf)
    size = float((positions.max(axis=0, initial=-np.inf) - low).max()) if len(positions) else 1.0
    whole: npt.NDArray[np.int16] = np.rint((positions - low) * (GRID / (size or 1.0))).astype(
        np.int16
    )
    return whole
