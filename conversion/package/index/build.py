"""Make the index of a config's shards: where their messages say all is, and its checksums."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import pyarrow as pa

from conversion.package.index.columns import Column, byte_ranges, columns_of
from conversion.package.index.index_file import (
    ColumnRange,
    Index,
    IndexedBatch,
    IndexedShard,
)
from conversion.package.index.messages import (
    RECORD_BATCH,
    SCHEMA,
    Message,
    read_header,
    read_messages,
)
from conversion.package.index.problems import NOT_FOR_PARQUET
from conversion.package.manifest import Manifest, Shard
from conversion.whole import open_regular
from conversion.wording import first_line

_PIECE = 1024 * 1024


class NoIndex(Exception):
    """Shards that cannot be indexed, or need not be; the text says why in one line."""


@dataclass(frozen=True)
class ShardIndex:
    """What one shard has for its config's index: its entry, and the message of its schema."""

    schema: bytes
    entry: IndexedShard


def build_index(folder: Path, manifest: Manifest) -> Index:
    """Return the index of a config's shards, in `folder`, which are those of its manifest.

    Each is read once, a piece at a time.

    Raises:
        NoIndex: they are Parquet, have dictionaries, or are not what the manifest describes.
    """
    if manifest.format != "arrow":
        raise NoIndex(NOT_FOR_PARQUET)
    return joined(manifest, [index_shard(folder / s.file, s) for s in manifest.shards])


def index_shard(path: Path, shard: Shard) -> ShardIndex:
    """Index a shard; its size and rows are compared with the manifest's, its SHA-256 is not.

    Raises:
        NoIndex: it cannot be read, is not what the manifest describes, or has dictionaries.
    """
    try:
        with open_regular(path) as file:
            return _index(file, shard)
    except OSError as error:
        reason = error.strerror or first_line(error)
    except (ValueError, pa.ArrowException) as error:
        reason = first_line(error)
    raise NoIndex(f"{shard.file}: {reason}")


def joined(manifest: Manifest, parts: Sequence[ShardIndex]) -> Index:
    """Return the index of a config from those of its shards, in the manifest's order.

    Raises:
        NoIndex: a shard has other columns than the first.
    """
    first = _schema(parts[0].schema)
    for part in parts[1:]:
        same = part.schema == parts[0].schema or _schema(part.schema).equals(first)
        if not same:
            raise NoIndex(f"{part.entry.file}: its columns are not those of the first shard")
    entries = tuple(part.entry for part in parts)
    return Index(manifest.config, tuple(first.names), parts[0].schema, entries)


def _index(file: BinaryIO, shard: Shard) -> ShardIndex:
    messages = read_messages(file)
    first = next(messages, None)
    if first is None or first.kind != SCHEMA or first.body_length:
        raise ValueError("it does not begin with a schema")
    columns = columns_of(_schema(first.metadata))
    batches = tuple(_batch(file, message, columns) for message in messages)
    rows = sum(batch.rows for batch in batches)
    size = file.seek(0, 2)
    if (size, rows) != (shard.bytes, shard.rows):
        raise ValueError(
            f"it has {size:,} bytes and {rows:,} rows, "
            f"in the manifest {shard.bytes:,} and {shard.rows:,}"
        )
    length = len(first.metadata)
    return ShardIndex(
        first.metadata, IndexedShard(shard.file, shard.bytes, shard.sha256, length, batches)
    )


def _batch(file: BinaryIO, message: Message, columns: Sequence[Column]) -> IndexedBatch:
    if message.kind != RECORD_BATCH:
        raise ValueError(
            f"the message at byte {message.offset:,} is no record batch (dictionaries are not "
            "indexed)"
        )
    header = read_header(message.metadata)
    ranges = tuple(
        ColumnRange(offset, length, _crc32c(file, message.body_offset + offset, length))
        for offset, length in byte_ranges(header, columns)
    )
    return IndexedBatch(message.offset, message.body_length, header.rows, message.metadata, ranges)


def _crc32c(file: BinaryIO, start: int, length: int) -> int:
    file.seek(start)
    found = 0
    while length and (piece := file.read(min(_PIECE, length))):
        found = google_crc32c.extend(found, piece)
        length -= len(piece)
    return int(found)


def _schema(message: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(message))
