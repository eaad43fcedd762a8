"""Shards that come piece by piece in any order, each in a file that its index tells the holes of.

Nothing in such a file is believed: what is there is what has the CRC32C that the index says, so
that it may be cut off at any time, and written to by several runs at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import pyarrow as pa

from conversion.package.index.index_file import Index, IndexedBatch, IndexedShard
from conversion.whole import open_at_will, read_up_to

Range = tuple[int, int]
"""Bytes of a shard, from the first to before the second."""

Span = tuple[int, int, int]
"""Where a column begins and ends in a shard, and its CRC32C."""

_END = b"\xff\xff\xff\xff\0\0\0\0"
"""How an Arrow stream ends; docs/source/format/Columnar.rst of Arrow, "IPC Streaming Format"."""

_GAP = 4096
"""So many bytes are rather fetched again than asked for around."""


def kept_name(file: str, sha256: str) -> str:
    """Return what a shard is called while it grows: by what it will be, not by its name alone."""
    return f".{file}.{sha256[:16]}.kept.part"


def spans(batch: IndexedBatch) -> list[Span]:
    """Return where in the shard each column with bytes begins and ends, and its CRC32C."""
    start = batch.body_offset
    return [(start + at, start + at + size, crc) for at, size, crc in batch.columns if size]


def has(data: pa.Buffer, start: int, span: Span) -> bool:
    """Tell whether bytes, the first of which is at `start` of the shard, have a column's."""
    first, end, crc32c = span[0] - start, span[1] - start, span[2]
    if not 0 <= first <= end <= data.size:
        return False
    return bool(google_crc32c.value(data.slice(first, end - first)) == crc32c)


def joined(ranges: list[Range], gap: int) -> list[Range]:
    """Join ranges, in order, that have at most `gap` bytes between them."""
    found: list[Range] = []
    for start, end in ranges:
        if found and start - found[-1][1] <= gap:
            start = found.pop()[0]
        found.append((start, end))
    return found


def missing(file: BinaryIO, shard: IndexedShard) -> Iterator[Range]:
    """Yield the columns that a file lacks or has other bytes of, in order."""
    for batch in shard.batches:
        for span in spans(batch):
            start, end, _ = span
            file.seek(start)
            data = pa.py_buffer(read_up_to(file.fileno(), end - start))
            if not has(data, start, span):
                yield start, end


def fill_known(file: BinaryIO, shard: IndexedShard, schema: bytes) -> list[Range]:
    """Write what the index has of a shard: `schema`, each record batch's metadata, and the end.

    Returns the ranges between record batches that it does not have: none for shards of avmit's.
    What pads columns is left, zeros if it was never written to.
    """
    unknown = []
    file.truncate(shard.bytes)
    if len(schema) == shard.schema_length:
        write_at(file, 0, schema)
    else:
        unknown.append((0, shard.schema_length))
    for batch in shard.batches:
        write_at(file, batch.offset, batch.metadata)
    end = shard.batches[-1].end if shard.batches else shard.schema_length
    if shard.bytes - end == len(_END):
        write_at(file, end, _END)
    elif shard.bytes > end:
        unknown.append((end, shard.bytes))
    return unknown


def write_at(file: BinaryIO, start: int, data: bytes | bytearray | memoryview) -> None:
    """Write all bytes, from `start` on.

    Raises:
        OSError: they cannot be written, or only some.
    """
    file.seek(start)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def holes_of(index: Index, folder: Path, most: Mapping[str, int]) -> dict[str, list[Range]]:
    """Return what each shard's kept file in a folder lacks, by the shard's name.

    What the index has of it is written into it. Left out are shards that are not in `most`, lack as
    many bytes as that says, or whose file cannot be read or written.
    """
    found = {}
    for shard in index.shards:
        path = folder / kept_name(shard.file, shard.sha256)
        if shard.file not in most or not path.is_file():
            continue
        with suppress(OSError), open_at_will(path) as file:
            unknown = fill_known(file, shard, index.schema)
            ranges = joined(sorted([*unknown, *missing(file, shard)]), gap=_GAP)
            if length_of(ranges) < most[shard.file]:
                found[shard.file] = ranges
    return found


def length_of(ranges: Iterable[Range]) -> int:
    """Sum up how many bytes ranges have."""
    return sum(end - start for start, end in ranges)
