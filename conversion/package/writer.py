"""Write shards: a temporary name, a running checksum, a rename when all is on disk."""

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.whole import new_file

Format = Literal["arrow", "parquet"]
Compression = Literal["none", "lz4", "zstd"]

BATCH_BYTES = 4 * 1024 * 1024
"""The size that record batches are planned to: what a reader holds, or fetches, at a time."""

DEFAULT_MAX_SHARD_BYTES = 256_000_000
LEAST_SHARD_BYTES = 10_000
"""The least that a shard may be asked to take: with less, each row is a file."""

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Encoding:
    """How shards are written."""

    format: Format = "arrow"
    compression: Compression = "none"


class ShardWriter:
    """Writes one shard, which appears under its name only once it is whole and on disk.

    Used as a context manager: `write` batches inside, read `rows`, `bytes` and `sha256` after.
    Leaving by an exception, or after `abandon`, removes what was written.
    """

    def __init__(self, path: Path, schema: pa.Schema, encoding: Encoding):
        self.path = path
        self.rows = 0
        self._abandoned = False
        self._temporary, file = new_file(path.parent)
        self._file = _HashingFile(file)
        self._sink = pa.PythonFile(self._file, mode="w")
        self._writer = _open_writer(self._sink, schema, encoding)

    @property
    def bytes(self) -> int:
        """The number of bytes written."""
        return self._file.written

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written, in hex."""
        return self._file.digest.hexdigest()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a record batch."""
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def abandon(self) -> None:
        """Let the shard not appear."""
        self._abandoned = True

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._abandoned:
                self._writer.close()
                self._sink.flush()
                self._file.sync()
                self._temporary.replace(self.path)
        finally:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def _open_writer(sink: pa.NativeFile, schema: pa.Schema, encoding: Encoding) -> Any:
    if encoding.format == "parquet":
        return pq.ParquetWriter(sink, schema, compression=encoding.compression)
    compression = None if encoding.compression == "none" else encoding.compression
    options = pa.ipc.IpcWriteOptions(compression=compression)
    return pa.ipc.new_stream(sink, schema, options=options)


class _HashingFile:
    """A file to write that sums up its SHA-256 on the way, so that no shard is read again."""

    def __init__(self, raw: BinaryIO):
        self._raw = raw
        self.digest = hashlib.sha256()
        self.written = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.digest.update(view)
        self.written += len(view)
        done = self._raw.write(view)
        while done < len(view):
            done += self._raw.write(view[done:])
        return len(view)

    def tell(self) -> int:
        return self.written

    def flush(self) -> None:
        """Unbuffered: nothing is held back."""

    def sync(self) -> None:
        os.fsync(self._raw.fileno())

    def close(self) -> None:
        self._raw.close()

    @property
    def closed(self) -> bool:
        return self._raw.closed


def shard_name(split: str, index: int, count: int, encoding: Encoding) -> str:
    """Return a shard's file name, of the pattern that `datasets` looks for."""
    return f"{split}-{index:05d}-of-{count:05d}.{encoding.format}"


def plan_shards(rows: Sequence[_Row], row_bytes: int, max_shard_bytes: int) -> list[list[_Row]]:
    """Cut rows into shards of at most `max_shard_bytes`, as equal as can be; at least one.

    The cut follows from its arguments alone, not from how many processes will write.
    """
    most = max(1, max_shard_bytes // max(1, row_bytes))
    count = max(1, -(-len(rows) // most))
    bounds = [len(rows) * index // count for index in range(count + 1)]
    return [list(rows[start:end]) for start, end in itertools.pairwise(bounds)]


def batch_rows(row_bytes: int) -> int:
    """Return how many rows make a record batch of about BATCH_BYTES; at least one."""
    return max(1, BATCH_BYTES // max(1, row_bytes))


def list_array(values: npt.NDArray[np.float32], lengths: Sequence[int]) -> pa.ListArray:
    """View matrices of shapes (length, D), one below the other in `values` (sum of lengths, D), as
    a list<fixed_size_list<float>[D]>, bit for bit and without a copy.
    """
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    rows = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    return pa.ListArray.from_arrays(pa.array(offsets), rows)
