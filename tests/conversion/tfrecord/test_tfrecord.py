"""A record read is the record written, and a damaged one is never mistaken for another."""

import contextlib
import gzip
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conversion.tfrecord.record import BadRecord, Record, inflate, read_record, write_record

SPECIAL = [0, 0x80000000, 1, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF]


def _finite(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """Take bit patterns as float32, those of NaN and infinity with one exponent bit cleared."""
    not_finite = bits & 0x7F800000 == 0x7F800000
    return np.where(not_finite, bits & ~np.uint32(0x00800000), bits).view(np.float32)


def matrices() -> st.SearchStrategy[npt.NDArray[np.float32]]:
    shapes = st.tuples(st.integers(1, 12), st.integers(1, 40))
    bits = st.one_of(st.sampled_from(SPECIAL), st.integers(0, 2**32 - 1))
    return arrays.arrays(np.uint32, shapes, elements=bits).map(_finite)


names = st.text(st.characters(codec="utf-8"), max_size=40)
records = st.builds(Record, names, names, matrices(), matrices())


def assert_same(record: Record, other: Record) -> None:
    assert (record.filename, record.label) == (other.filename, other.label)
    for array, wanted in ((record.audio, other.audio), (record.visual, other.visual)):
        assert array.dtype == np.float32
        assert array.shape == wanted.shape
        assert array.tobytes() == wanted.tobytes()


@given(records)
def test_a_record_read_is_the_record_written(record: Record) -> None:
    assert_same(read_record(write_record(record)), record)


@given(records)
def test_the_same_record_is_written_as_the_same_bytes(record: Record) -> None:
    copy = Record(record.filename, record.label, record.audio.copy(), record.visual.copy())
    assert write_record(copy) == write_record(record)


def test_rows_may_be_views_that_are_not_contiguous() -> None:
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    read = read_record(write_record(Record("a/b.mp4", "a", values[:, ::2], values.T)))
    np.testing.assert_array_equal(read.audio, values[:, ::2])
    np.testing.assert_array_equal(read.visual, values.T)


SMALL = Record(
    "diving/yt-é_1.mp4",
    "diving",
    np.array([[1.5, -0.0], [2.5e-45, 3.0]], np.float32),
    np.array([[4.0, 5.0, 6.0]], np.float32),
)
WRITTEN = write_record(SMALL)


def assert_bad_or_same(damaged: bytes) -> None:
    try:
        read = read_record(damaged)
    except BadRecord as error:
        assert str(error)
    else:
        assert_same(read, SMALL)


@pytest.mark.parametrize("bit", range(8))
def test_any_bit_flipped_is_noticed_or_harmless(bit: int) -> None:
    for position in range(len(WRITTEN)):
        damaged = bytearray(WRITTEN)
        damaged[position] ^= 1 << bit
        assert_bad_or_same(bytes(damaged))


def test_any_bit_flipped_before_the_compression_is_noticed() -> None:
    inflated = gzip.decompress(WRITTEN)
    for position in range(len(inflated)):
        damaged = bytearray(inflated)
        damaged[position] ^= 0x10
        with pytest.raises(BadRecord):
            read_record(gzip.compress(damaged))


def test_any_truncation_is_noticed() -> None:
    for length in range(len(WRITTEN)):
        with pytest.raises(BadRecord):
            read_record(WRITTEN[:length])


def _edit(data: bytes, edit: tuple[str, int, bytes]) -> bytes:
    kind, at, content = edit
    at %= len(data) + 1
    match kind:
        case "overwrite":
            return data[:at] + content + data[at + len(content) :]
        case "insert":
            return data[:at] + content + data[at:]
        case "delete":
            return data[:at] + data[at + len(content) :]
        case _:
            return data[:at]


edits = st.lists(
    st.tuples(
        st.sampled_from(["overwrite", "insert", "delete", "truncate"]),
        st.integers(0, 2 * len(WRITTEN)),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=500)
@given(edits)
@example([("insert", len(WRITTEN), b"\0")])
def test_any_damage_is_noticed_or_harmless(
    steps: list[tuple[str, int, bytes]],
) -> None:
    damaged = WRITTEN
    for step in steps:
        damaged = _edit(damaged, step)
    assert_bad_or_same(damaged)


def zlib_content(data: bytes) -> bytes | None:
    """What zlib finds in a file of one gzip member and nothing else; None if that is not so."""
    member = zlib.decompressobj(wbits=31)
    try:
        content = member.decompress(data)
    except zlib.error:
        return None
    return content if member.eof and not member.unused_data else None


GZIPPED = [WRITTEN, *(gzip.compress(gzip.decompress(WRITTEN), n, mtime=0) for n in (0, 9))]


@settings(max_examples=500)
@given(st.sampled_from(GZIPPED), edits, st.booleans())
@example(WRITTEN, [("insert", len(WRITTEN), WRITTEN)], False)
@example(WRITTEN, [("insert", len(WRITTEN), b"junkjunk" + WRITTEN[-8:])], False)
@example(WRITTEN, [("overwrite", 3, b"\x20")], False)
@example(WRITTEN, [("overwrite", 3, b"\x02")], True)
def test_gzip_is_inflated_where_zlib_inflates_it(
    data: bytes, steps: list[tuple[str, int, bytes]], mend: bool
) -> None:
    for step in steps:
        data = _edit(data, step)
    if mend:  # let the end say what is inside
        content = zlib.decompressobj(wbits=-15)
        with contextlib.suppress(zlib.error):
            inside = content.decompress(data[10:])
            data = data[:-8] + struct.pack("<II", zlib.crc32(inside), len(inside))
    try:
        inflated = inflate(data)
    except BadRecord:
        assert zlib_content(data) is None
    else:
        assert inflated == zlib_content(data)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.booleans())
def test_bytes_that_never_were_a_record_are_bad(data: bytes, gzip_magic: bool) -> None:
    with pytest.raises(BadRecord):
        read_record(b"\x1f\x8b\x08" + data if gzip_magic else data)
