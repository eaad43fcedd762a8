"""Read shards, Arrow or Parquet, one record batch at a time, trusting nothing in them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from conversion import ground

_PARQUET_ROWS = 128  # some MB of the widest embeddings; Parquet's own batches would be whole shards


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a shard's record batches, of `columns` only if given; each is checked to be sound.

    Uncompressed Arrow is mapped, not copied. The kind follows from the file's suffix.

    Raises:
        AvmitError: the file cannot be read as such a shard, or lacks a column.
    """
    try:
        yield from _batches(path, columns)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise _unreadable(path, error) from error


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield record batches as `read_batches` does, and refuse nulls, which no row of ours has.

    Raises:
        AvmitError: as for `read_batches`, or there is a null.
    """
    for batch in read_batches(path, columns):
        if any(map(count_nulls, batch.columns)):
            raise ground.AvmitError(
                f"{path} has nulls, which no row has: make or fetch the config again"
            )
        yield batch


def read_schema(path: Path) -> pa.Schema:
    """Return a shard's schema.

    Raises:
        AvmitError: the file cannot be read as a shard, or two columns have one name.
    """
    try:
        schema = _schema(path)
        names = schema.names  # decoded here, where damage to them can be told
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if len(set(names)) < len(names):
        raise ground.AvmitError(f"{path} has two columns of one name: bring the shard again")
    return schema


def described_features(schema: pa.Schema) -> Any:
    """Return the features as a schema's metadata writes them for `datasets`; None without any."""
    try:
        return json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def count_nulls(column: pa.Array) -> int:
    """Count the nulls in an array and in the lists that it holds."""
    count: int = column.null_count
    while pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
        count += column.null_count
    return count


def matrices(
    column: pa.ListArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return a list<fixed_size_list<float>[D]> column without nulls as numpy, without a copy.

    The offsets have shape (rows + 1,), and row i is values[offsets[i] : offsets[i + 1]], where
    values has shape (all timesteps, D).
    """
    offsets = column.offsets.to_numpy().astype(np.int64)
    width = column.type.value_type.list_size
    values = column.flatten().flatten().to_numpy(zero_copy_only=True)
    return offsets - offsets[0], values.reshape(-1, width)


def _batches(path: Path, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(_PARQUET_ROWS, columns=columns, use_threads=False):
                yield _sound(batch if columns is None else batch.select(list(columns)))
        return
    schema = read_schema(path)
    included = None if columns is None else [schema.names.index(name) for name in columns]
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=included)
    with pa.memory_map(str(path)) as source:
        for batch in pa.ipc.open_stream(source, options=options):
            yield _sound(batch if columns is None else batch.select(list(columns)))


def _schema(path: Path) -> pa.Schema:
    if path.suffix == ".parquet":
        return pq.read_schema(path)
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_stream(source).schema


def _sound(batch: Any) -> pa.RecordBatch:
    """Refuse offsets that point outside of their buffers, before anything follows them."""
    batch.validate(full=True)
    return batch


def _unreadable(path: Path, error: Exception) -> "ground.AvmitError":
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    kind = "Parquet" if path.suffix == ".parquet" else "an Arrow stream"
    return ground.AvmitError(f"{path} cannot be read as {kind} ({reason}): bring the shard again")
