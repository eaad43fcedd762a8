"""Rebuild record batches from their columns' bytes alone, as an index says where they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import google_crc32c
import pyarrow as pa

from conversion.package.index.columns import byte_ranges, columns_of
from conversion.package.index.index_file import ColumnRange, Index, IndexedBatch
from conversion.package.index.messages import ALIGNMENT, read_header, rewritten
from conversion.wording import first_line

_Piece = tuple[int, pa.Buffer]
"""Bytes of a record batch's body, and where they begin in it."""


class BatchReader:
    """Rebuilds record batches of a config with the columns of those names, by default with all.

    Without the rest of the shard: what is needed of its schema and of each record batch's metadata
    stands in the index. Uncompressed and compressed shards are the same to it.

    Raises:
        ValueError: the index's schema is none, or not of its columns; a column is not there, or is
            named twice.
    """

    def __init__(self, index: Index, columns: Sequence[str] | None = None):
        try:
            schema = pa.ipc.read_schema(pa.py_buffer(index.schema))
            names = tuple(schema.names)
            self._all = columns_of(schema)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ValueError(f"its schema makes no sense ({first_line(error)})") from None
        if names != index.columns:
            raise ValueError("its schema has other columns than it says")
        wanted = list(names if columns is None else columns)
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise ValueError(f"no column {', '.join(unknown)}; there are: {', '.join(names)}")
        if len(set(wanted)) < len(wanted):
            raise ValueError("name each column once")
        self._places = sorted({names.index(name) for name in wanted})
        self._schema = pa.schema([schema.field(i) for i in self._places], schema.metadata)
        self._wanted = wanted

    def ranges(self, batch: IndexedBatch, gap: int = 0) -> list[tuple[int, int]]:
        """Return the bytes to fetch of a record batch, as (offset in its body, length), in order.

        Ranges with at most `gap` bytes between them come as one.
        """
        found: list[tuple[int, int]] = []
        for place in self._places:
            offset, length, _ = batch.columns[place]
            if not length:
                continue
            if found and offset - sum(found[-1]) <= gap:
                offset, length = found[-1][0], offset + length - found.pop()[0]
            found.append((offset, length))
        return found

    def read(self, batch: IndexedBatch, pieces: Mapping[int, Any]) -> pa.RecordBatch:
        """Return a record batch of the columns, in the order in which they were named.

        `pieces` are bytes of its body by where they begin in it, anything with the buffer
        protocol, with each wanted column inside of one, as `ranges` names them. A single piece is
        not copied: the arrays of an uncompressed batch lie in it.

        Raises:
            ValueError: the bytes are not those of the index, by their CRC32C, or index and bytes
                make no record batch; the text says which in one line.
        """
        found = [(start, pa.py_buffer(piece)) for start, piece in sorted(pieces.items())]
        sources = [_check(self._all[i].name, batch.columns[i], found) for i in self._places]
        try:
            rebuilt = self._rebuilt(batch, found, sources)
            rebuilt.validate(full=True)
        except (pa.ArrowException, OSError, MemoryError, ValueError) as error:
            raise ValueError(f"the record batch makes no sense ({first_line(error)})") from None
        return rebuilt if self._schema.names == self._wanted else rebuilt.select(self._wanted)

    def _rebuilt(
        self, batch: IndexedBatch, pieces: Sequence[_Piece], sources: Sequence[int]
    ) -> pa.RecordBatch:
        """Read the wanted columns; `sources` are the numbers of the pieces that they are in."""
        header = read_header(batch.metadata)
        ranges = byte_ranges(header, self._all)
        if [(column.offset, column.length) for column in batch.columns] != ranges:
            raise ValueError("the ranges of its columns are not those of its metadata")
        if (header.rows, header.body_length) != (batch.rows, batch.body_length):
            raise ValueError("rows or length are not those of its metadata")
        body, shifts = _joined(pieces)
        nodes: list[tuple[int, int]] = []
        buffers: list[tuple[int, int]] = []
        for place, source in zip(self._places, sources, strict=True):
            column = self._all[place]
            nodes += header.nodes[column.nodes]
            # An empty one may be said to be anywhere, also where nothing came from.
            buffers += [
                (offset + shifts[source], length) if length else (0, 0)
                for offset, length in header.buffers[column.buffers]
            ]
        metadata = rewritten(batch.metadata, header, nodes, buffers, body.size)
        message = pa.ipc.read_message(pa.PythonFile(_Joint(metadata, body), mode="r"))
        return pa.ipc.read_record_batch(message, self._schema)


def _check(name: str, column: ColumnRange, pieces: Sequence[_Piece]) -> int:
    """Return the number of the piece that a column is in, with the right bytes.

    Raises:
        ValueError: there is none, or it has others.
    """
    if not column.length:
        return 0
    for number, (start, piece) in enumerate(pieces):
        offset = column.offset - start
        if 0 <= offset <= piece.size - column.length:
            if google_crc32c.value(piece.slice(offset, column.length)) != column.crc32c:
                raise ValueError(f"the bytes of {name} are not those of its CRC32C")
            return number
    raise ValueError(f"the bytes of {name} are not there")


def _joined(pieces: Sequence[_Piece]) -> tuple[pa.Buffer, list[int]]:
    """Return the pieces in one buffer, and what to add to where a buffer was, for each piece."""
    if len(pieces) == 1:
        ((start, piece),) = pieces
        if start % ALIGNMENT == piece.address % ALIGNMENT == 0:
            return piece, [-start]
    shifts = []
    end = 0
    for start, piece in pieces:
        place = end + (start - end) % ALIGNMENT
        shifts.append(place - start)
        end = place + piece.size
    body = pa.allocate_buffer(end)
    view = memoryview(body)
    for (start, piece), shift in zip(pieces, shifts, strict=True):
        view[start + shift : start + shift + piece.size] = memoryview(piece)
    return body, shifts or [0]


class _Joint:
    """A message as a file for Arrow to read: its metadata, then its body, which is not copied."""

    closed = False

    def __init__(self, metadata: bytes, body: pa.Buffer):
        self._rest = pa.py_buffer(metadata)
        self._body = body

    def read(self, size: int) -> pa.Buffer:
        """Return the next bytes of the metadata, or the body's first."""
        source = self._rest if self._rest.size else self._body
        taken, rest = source.slice(0, size), source.slice(min(size, source.size))
        if self._rest.size:
            self._rest = rest
        return taken

    def close(self) -> None:
        """There is nothing to close."""
