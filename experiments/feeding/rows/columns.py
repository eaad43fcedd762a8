"""Columns read by row number: embeddings as views of their buffers, and the small ones."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from avmit import AvmitError

Matrix = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Values = list[Any] | npt.NDArray[Any]
NOT_THERE = -1
"""The row number of what a join did not find."""


def is_embedding(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds a (T, D) float32 array a row, D the same in all."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    inner = kind.value_type
    return bool(pa.types.is_fixed_size_list(inner) and pa.types.is_float32(inner.value_type))


class EmbeddingColumn:
    """A column of (T, `width`) float32 arrays, T varying from row to row, in record batches.

    Arrow's lists are values and offsets, so that a row is a slice of the values: nothing is copied.
    Record batches are looked at when a row of theirs is first taken; of each row two numbers stay.
    """

    def __init__(self, name: str, column: pa.ChunkedArray):
        self.name = name
        self.width: int = column.type.value_type.list_size
        self._chunks = column.chunks
        self._starts = _starts(column)
        self._opened = np.zeros(len(self._chunks), bool)
        # The last one is where NOT_THERE leads, and so is the last of the bounds.
        self._values = [_nothing(self.width)] * (len(self._chunks) + 1)
        self._begins = np.zeros(len(column) + 1, np.int64)
        self._ends = np.zeros(len(column) + 1, np.int64)

    def take(self, rows: Numbers) -> list[Matrix]:
        """Return the arrays of these rows, read-only views; of no timesteps where there is none.

        Raises:
            AvmitError: the offsets of a record batch lead outside of it, or values are missing.
        """
        chunks = self._chunks_of(rows)
        bounds = (chunks.tolist(), self._begins[rows].tolist(), self._ends[rows].tolist())
        values = self._values
        return [values[chunk][begin:end] for chunk, begin, end in zip(*bounds, strict=True)]

    def lengths(self, rows: Numbers) -> Numbers:
        """Return how many timesteps these rows have.

        Raises:
            AvmitError: as `take`.
        """
        self._chunks_of(rows)
        return self._ends[rows] - self._begins[rows]

    def _chunks_of(self, rows: Numbers) -> Numbers:
        """Return which record batch each row is in, -1 for none, after a look at those."""
        chunks = np.searchsorted(self._starts, rows, side="right") - 1
        if not self._opened[chunks[chunks >= 0]].all():
            self._open(np.unique(chunks[chunks >= 0]))
        return chunks

    def _open(self, chunks: Numbers) -> None:
        for chunk in chunks[~self._opened[chunks]].tolist():
            values, offsets = values_and_offsets(self.name, self._chunks[chunk])
            rows = slice(self._starts[chunk], self._starts[chunk] + len(offsets) - 1)
            self._begins[rows], self._ends[rows] = offsets[:-1], offsets[1:]
            self._values[chunk] = values
            self._opened[chunk] = True


def values_and_offsets(name: str, array: pa.Array) -> tuple[Matrix, npt.NDArray[Any]]:
    """Return an embedding array's values (sum of T, D) and offsets (rows + 1), views
    of its buffers.

    Raises:
        AvmitError: the offsets lead outside of the values, or values are missing.
    """
    steps = array.values
    width = steps.type.list_size
    # `values` is of the whole buffer, whatever slice of it the array is.
    values = steps.values.slice(steps.offset * width, len(steps) * width)
    offsets = array.offsets.to_numpy()
    start, end = int(offsets[0]), int(offsets[-1])
    # Compared, since differences of hostile offsets overflow.
    if start < 0 or end > len(steps) or (offsets[1:] < offsets[:-1]).any():
        raise AvmitError(f"'{name}' has offsets outside of its values: bring the shard again")
    seen = steps.slice(start, end - start), values.slice(start * width, (end - start) * width)
    if any(part.null_count for part in seen) or _takes_room_where_missing(array, offsets):
        raise AvmitError(
            f"'{name}' has missing values inside of its arrays: fill them, or drop those rows and "
            "call flatten_indices()"
        )
    return _numbers_of(name, values).reshape(len(steps), width), offsets


def _takes_room_where_missing(array: pa.Array, offsets: npt.NDArray[Any]) -> bool:
    """Tell whether a missing row lies over values; one that does not has no timesteps."""
    if not array.null_count:
        return False
    missing = array.is_null().to_numpy(zero_copy_only=False)
    return bool((offsets[1:] > offsets[:-1])[missing].any())


def _nothing(width: int) -> Matrix:
    """Return an array of no timesteps, as much a read-only one as the views are."""
    nothing = np.empty((0, width), np.float32)
    nothing.flags.writeable = False
    return nothing


def _numbers_of(name: str, values: pa.Array) -> Matrix:
    """Return the buffer of an array of float32, a read-only view."""
    if not len(values):
        return _nothing(1)[:, 0]
    # Without what says which of them are missing: rows that are not looked at may have some.
    buffers = [None, values.buffers()[1]]
    try:
        plain = pa.Array.from_buffers(values.type, len(values), buffers, 0, values.offset)
    except pa.ArrowInvalid:
        raise AvmitError(f"'{name}' has fewer values than it says: bring the shard again") from None
    numbers: Matrix = plain.to_numpy()
    return numbers


class PlainColumn:
    """A column of numbers or text, small enough to be held as a whole."""

    def __init__(self, name: str, column: pa.ChunkedArray, *, gaps: bool):
        self.name = name
        kind = column.type
        # Numbers that are missing somewhere are NaN, in all batches alike.
        self._gaps = gaps or column.null_count > 0
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        self._numbers: npt.NDArray[Any] | None = None
        self._others: pa.Array | None = None
        if numeric or (pa.types.is_boolean(kind) and not self._gaps):
            if self._gaps and pa.types.is_integer(kind):
                column = _as_floats(name, column)
            self._numbers = column.to_numpy()
        else:
            whole = column.combine_chunks()
            self._others = (
                pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
            )

    def take(self, rows: Numbers) -> npt.NDArray[Any] | list[Any]:
        """Return the values of these rows: numbers as an array, all else as a list."""
        missing = rows == NOT_THERE if self._gaps else None
        if self._numbers is not None:
            values = self._numbers
            if missing is None or not missing.any():
                return values[rows]
            taken = np.full(len(rows), np.nan, values.dtype)
            taken[~missing] = values[rows[~missing]]
            return taken
        assert self._others is not None
        return self._others.take(pa.array(rows, mask=missing)).to_pylist()  # type: ignore[no-any-return]


def _as_floats(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        raise AvmitError(
            f"'{name}' has missing values, and numbers too large to be floats beside NaN: make it "
            "text with cast_column, or leave it out of columns"
        ) from None


def _starts(column: pa.ChunkedArray) -> Numbers:
    """Return the row at which each chunk starts, the empty ones before what follows them."""
    return np.cumsum([0, *map(len, column.chunks)][: len(column.chunks)], dtype=np.int64)
