"""Arrow's stream format, message by message: where each one lies, and where its buffers are.

pyarrow tells neither, so the few fields that say it are read here from the messages' flatbuffers,
as Arrow's `format/Message.fbs` describes them. The `flatbuffers` package would not do: it needs
classes generated from that file, and follows any offset unchecked.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

SCHEMA, DICTIONARY_BATCH, RECORD_BATCH = 1, 2, 3
"""Kinds of messages, the numbers of MessageHeader in Message.fbs."""

ALIGNMENT = 8
"""Messages and the buffers in their bodies begin at multiples of so many bytes."""

PREFIX = 8
"""The bytes before a message's flatbuffer: a continuation mark and the flatbuffer's length."""

_MARK = 0xFFFFFFFF
_LONGEST = 64_000_000  # bytes of a message without its body; ours have 1 to 10 kB
_PAIR = struct.Struct("<qq")  # FieldNode and Buffer are structs of two longs each

# Fields of the tables Message and RecordBatch, by their place in Message.fbs.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_LENGTH, _NODES, _BUFFERS = 0, 1, 2


@dataclass(frozen=True)
class Message:
    """A message in a file: `metadata` are its bytes from `offset` to where its body begins."""

    offset: int
    metadata: bytes
    kind: int
    body_length: int

    @property
    def body_offset(self) -> int:
        """Where its body begins in the file."""
        return self.offset + len(self.metadata)

    @property
    def end(self) -> int:
        """Where the next message begins in the file."""
        return self.body_offset + self.body_length


@dataclass(frozen=True)
class BatchHeader:
    """What a record batch's metadata says: `nodes` are (length, null count), depth first, and
    `buffers` (offset in the body, length); the places are those of the numbers in the metadata.
    """

    rows: int
    body_length: int
    nodes: list[tuple[int, int]]
    buffers: list[tuple[int, int]]
    body_length_at: int
    nodes_at: int
    buffers_at: int


def read_messages(file: BinaryIO) -> Iterator[Message]:
    """Yield the messages of an Arrow stream file; the bodies are left out, but may be read.

    When a message is yielded, the file stands where its body begins.

    Raises:
        ValueError: it is no Arrow stream, or ends too early.
        OSError: it cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    offset = 0
    while offset < size:
        file.seek(offset)
        prefix = file.read(PREFIX)
        if len(prefix) < PREFIX:
            raise ValueError(f"it ends within a message, at byte {size:,}")
        mark, length = struct.unpack("<II", prefix)
        if mark != _MARK:
            raise ValueError(f"no message begins at byte {offset:,}")
        if length == 0:
            return  # the mark of the end; Arrow reads no further either
        if length > min(_LONGEST, size - offset - PREFIX) or length % ALIGNMENT:
            raise ValueError(f"the message at byte {offset:,} does not end as it says")
        metadata = prefix + file.read(length)
        kind, body_length = _kind_of(metadata)
        message = Message(offset, metadata, kind, body_length)
        if not 0 <= body_length <= size - message.body_offset or body_length % ALIGNMENT:
            raise ValueError(f"the message at byte {offset:,} does not end as it says")
        yield message
        offset = message.end


def read_header(metadata: bytes) -> BatchHeader:
    """Read a record batch's metadata, a message without its body.

    Raises:
        ValueError: it is no such message.
    """
    flat = _Flatbuffer(metadata)
    try:
        message = flat.root()
        if flat.number("<B", flat.field(message, _HEADER_TYPE)) != RECORD_BATCH:
            raise ValueError("no record batch")
        batch = flat.follow(flat.field(message, _HEADER))
        length, body_length = flat.field(batch, _LENGTH), flat.field(message, _BODY_LENGTH)
        nodes_at, nodes = flat.pairs(flat.field(batch, _NODES))
        buffers_at, buffers = flat.pairs(flat.field(batch, _BUFFERS))
        return BatchHeader(
            flat.number("<q", length),
            flat.number("<q", body_length),
            nodes,
            buffers,
            body_length,
            nodes_at,
            buffers_at,
        )
    except struct.error:
        raise ValueError("its metadata leads out of itself") from None


def rewritten(
    metadata: bytes,
    header: BatchHeader,
    nodes: Sequence[tuple[int, int]],
    buffers: Sequence[tuple[int, int]],
    body_length: int,
) -> bytes:
    """Return a record batch's metadata with fewer, or as many, nodes and buffers in its place."""
    assert len(nodes) <= len(header.nodes) and len(buffers) <= len(header.buffers)
    changed = bytearray(metadata)
    for at, pairs in ((header.nodes_at, nodes), (header.buffers_at, buffers)):
        if at:
            struct.pack_into("<I", changed, at - 4, len(pairs))
        for index, pair in enumerate(pairs):
            _PAIR.pack_into(changed, at + index * _PAIR.size, *pair)
    if header.body_length_at:
        struct.pack_into("<q", changed, header.body_length_at, body_length)
    return bytes(changed)


def _kind_of(metadata: bytes) -> tuple[int, int]:
    """Return a message's kind and the length of its body."""
    flat = _Flatbuffer(metadata)
    try:
        message = flat.root()
        kind = flat.number("<B", flat.field(message, _HEADER_TYPE))
        return kind, flat.number("<q", flat.field(message, _BODY_LENGTH))
    except struct.error:
        raise ValueError("its metadata leads out of itself") from None


class _Flatbuffer:
    """Reads the tables of a message's flatbuffer; every look is checked to be inside of it.

    A field that is left out, as one of its default value 0 is, is at 0, and reads as 0.

    Raises:
        struct.error: a look leads out of it.
    """

    def __init__(self, metadata: bytes):
        self._data = metadata

    def root(self) -> int:
        """Return where the message's table is."""
        return self.follow(PREFIX)

    def number(self, form: str, at: int) -> int:
        """Return the number at a place."""
        if at == 0:
            return 0
        if at < PREFIX:
            raise struct.error
        (found,) = struct.unpack_from(form, self._data, at)
        return int(found)

    def follow(self, at: int) -> int:
        """Return the place that the offset at a place leads to; 0 for a field that is left out."""
        return at + self.number("<I", at) if at else 0

    def field(self, table: int, index: int) -> int:
        """Return where the field of that number is in a table."""
        if table == 0:
            return 0
        fields = table - self.number("<i", table)
        if 4 + 2 * index >= self.number("<H", fields):
            return 0
        inside = self.number("<H", fields + 4 + 2 * index)
        return table + inside if inside else 0

    def pairs(self, at: int) -> tuple[int, list[tuple[int, int]]]:
        """Return where the vector of structs begins that a field leads to, and the structs."""
        vector = self.follow(at)
        count = self.number("<I", vector)
        start, end = vector + 4, vector + 4 + count * _PAIR.size
        if end > len(self._data):
            raise struct.error
        if vector == 0:
            return 0, []
        return start, list(_PAIR.iter_unpack(memoryview(self._data)[start:end]))
