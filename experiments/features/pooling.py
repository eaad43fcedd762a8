"""A row's timesteps made one line of a matrix: their mean, all in a row, or as they are."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from experiments.feeding.rows import Rows
from experiments.feeding.rows.columns import Matrix, Numbers

Pool = Literal["mean", "flatten", "none"]
Progress = Callable[[int, int], None]
"""Told of (rows read since the last call, rows in all)."""

_CHUNK = 512
"""Rows that are looked at together."""


@dataclass(frozen=True)
class Pooled:
    """Matrices by embedding column, and how many timesteps each row has of its own."""

    matrices: dict[str, npt.NDArray[np.float32]]
    lengths: dict[str, Numbers]
    kept: dict[str, int]
    """How many timesteps each row has in the matrix; nothing of their mean."""


def lengths_of(rows: Rows, numbers: Numbers) -> dict[str, Numbers]:
    """Return how many timesteps these rows have, by embedding column; reads no values."""
    found: dict[str, Numbers] = {name: np.empty(len(numbers), np.int64) for name in rows.embeddings}
    for start, arrays in _chunks(rows, numbers):
        for name, of_rows in arrays.items():
            found[name][start : start + len(of_rows)] = [len(array) for array in of_rows]
    return found


def pooled(
    rows: Rows, numbers: Numbers, pool: Pool, timesteps: int | None, progress: Progress
) -> Pooled:
    """Make a matrix of each embedding column, with a line for each of these rows, in their order.

    `mean`: (N, D), the mean over a row's own timesteps, as NumPy takes it of float32; NaN where
    there are none. `flatten`: (N, T * D), timestep after timestep, where T is `timesteps` or else
    the fewest that any row has, so that every number was measured. `none`: (N, T, D), where T is
    `timesteps` or else the most. What a row has beyond T is left out; what it lacks is zero.
    There must be a row.
    """
    lengths = lengths_of(rows, numbers)
    kept: dict[str, int] = {}
    matrices: dict[str, npt.NDArray[np.float32]] = {}
    for name, width in rows.widths.items():
        if pool == "mean":
            matrices[name] = np.empty((len(numbers), width), np.float32)
            continue
        bound = lengths[name].min if pool == "flatten" else lengths[name].max
        kept[name] = int(bound()) if timesteps is None else timesteps
        matrices[name] = np.zeros((len(numbers), kept[name], width), np.float32)
    put = _put_mean if pool == "mean" else _put_steps
    progress(0, len(numbers))
    for start, arrays in _chunks(rows, numbers):
        end = min(start + _CHUNK, len(numbers))
        for name, of_rows in arrays.items():
            put(of_rows, matrices[name][start:end])
        progress(end - start, len(numbers))
    if pool == "flatten":
        matrices = {name: matrix.reshape(len(matrix), -1) for name, matrix in matrices.items()}
    return Pooled(matrices, lengths, kept)


def _chunks(rows: Rows, numbers: Numbers) -> Iterator[tuple[int, Mapping[str, list[Matrix]]]]:
    for start in range(0, len(numbers), _CHUNK):
        yield start, rows.take(numbers[start : start + _CHUNK]).embeddings


def _put_mean(arrays: list[Matrix], out: Any) -> None:
    for array, line in zip(arrays, out, strict=True):
        np.add.reduce(array, axis=0, out=line)
    counts = np.fromiter(map(len, arrays), np.float32, len(arrays))
    with np.errstate(invalid="ignore", over="ignore"):
        out /= counts[:, None]


def _put_steps(arrays: list[Matrix], out: Any) -> None:
    most = out.shape[1]
    for array, lines in zip(arrays, out, strict=True):
        lines[: len(array)] = array[:most]
