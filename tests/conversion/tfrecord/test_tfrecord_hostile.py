"""A record of a few kilobytes that would take minutes or gigabytes is refused before it does."""

import contextlib
import tracemalloc

import numpy as np
import pytest
from support.messages import (
    AUDIO,
    CONTEXT,
    LISTS,
    NAMES,
    UNKNOWN,
    VISUAL,
    bytes_feature,
    entry,
    feature_list,
    field,
    int_feature,
    rows,
)

from conversion.tfrecord.record import (
    BadRecord,
    Record,
    deflate,
    frame,
    parse_example,
    read_record,
    write_record,
)

MOST = 8_000_000


def many(unit: bytes) -> bytes:
    return unit * (MOST // len(unit))


def in_audio(content: bytes) -> bytes:
    return CONTEXT + field(2, entry("audio", content) + VISUAL)


TOO_MANY = {
    "empty timesteps": in_audio(many(b"\x0a\x00")),
    "timesteps of nothing": in_audio(many(b"\x0a\x04\x0a\x02\x0a\x00")),
    "timesteps of one float": in_audio(many(bytes_feature(bytes(4)))),
    "timesteps of integers": in_audio(many(b"\x0a\x05\x1a\x03\x0a\x01\x01")),
    "a timestep of many values": in_audio(field(1, field(1, many(b"\x0a\x00")))),
    "a timestep of many kinds": in_audio(field(1, many(b"\x0a\x00\x12\x00"))),
    "unknown fields in timesteps": in_audio(many(b"\x0a\x02\x38\x00")),
    "many lists": CONTEXT + field(2, many(b"\x0a\x00") + AUDIO + VISUAL),
    "many context fields": field(1, many(b"\x0a\x00")) + CONTEXT + LISTS,
    "many contexts": many(b"\x0a\x00") + CONTEXT + LISTS,
    "many packed integers": field(
        1, b"".join(NAMES) + entry("audio_timesteps", field(3, field(1, many(b"\x01"))))
    )
    + LISTS,
    "groups": CONTEXT + LISTS + many(b"\x3b\x3c"),
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_a_small_file_of_many_fields(name: str) -> None:
    with pytest.raises(BadRecord) as bad:
        read_record(deflate(frame(TOO_MANY[name])))
    assert str(bad.value) == "has more than 16,384 fields"


@pytest.mark.parametrize("more", [b"", UNKNOWN])
def test_many_timesteps_of_unknown_lists_are_too_many_fields_too(more: bytes) -> None:
    """Whether or not the message is regular."""
    third = entry("more", feature_list(*rows(0, 2048, 1)))
    lists = [entry("audio", feature_list(*rows(0, 2048, 1))), third, VISUAL]
    names = [*NAMES[:2], NAMES[3], entry("audio_timesteps", int_feature(2048))]
    context = field(1, b"".join(names))
    assert parse_example(context + field(2, lists[0] + VISUAL) + more).audio.shape == (2048, 1)
    fourth = entry("moreover", feature_list(*rows(0, 2048, 1)))
    with pytest.raises(BadRecord) as bad:
        parse_example(context + field(2, b"".join([*lists, fourth])) + more)
    assert str(bad.value) == "has more than 16,384 fields"


@pytest.mark.parametrize("width", [0, 4, 8])
def test_more_timesteps_than_three_seconds_have(width: int) -> None:
    with pytest.raises(BadRecord) as bad:
        parse_example(in_audio(feature_list(*[bytes_feature(bytes(width))] * 2049)))
    assert str(bad.value) == "has 2,049 timesteps of 'audio', more than 2,048"


def test_a_name_of_megabytes() -> None:
    names = [entry("filename", bytes_feature(b"a" * MOST)), *NAMES[1:]]
    with pytest.raises(BadRecord) as bad:
        parse_example(field(1, b"".join(names)) + LISTS)
    assert str(bad.value) == "has a 'filename' of 8,000,000 bytes"


def test_what_records_leave_behind_is_small() -> None:
    steps = [in_audio(feature_list(*rows(0, 2000 + more, 1))) for more in range(10)]
    names = [field(2, AUDIO + VISUAL + entry("n" * (99_000 + more), b"")) for more in range(30)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for payload in [*steps, *(CONTEXT + lists for lists in names)]:
            with contextlib.suppress(BadRecord):
                parse_example(payload)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000_000


@pytest.mark.parametrize("steps", [1, 100, 127, 2048])
def test_any_number_of_timesteps_that_may_be_is_read(steps: int) -> None:
    audio = np.arange(steps * 3, dtype=np.float32).reshape(steps, 3)
    read = read_record(write_record(Record("a/b.mp4", "a", audio, audio[::-1])))
    np.testing.assert_array_equal(read.audio, audio)
    np.testing.assert_array_equal(read.visual, audio[::-1])


def test_the_widest_encoders_at_a_hundred_timesteps_are_read() -> None:
    wide = np.random.default_rng(0).standard_normal((100, 8192), np.float32)
    read = read_record(write_record(Record("a/b.mp4", "a", wide, -wide)))
    np.testing.assert_array_equal(read.audio, wide)
    np.testing.assert_array_equal(read.visual, -wide)


def test_fields_in_another_order_are_counted_alike() -> None:
    """Thousands of timesteps that are not regular: protobuf's to read."""
    values = rows(0, 2048, 1)
    lists = field(2, VISUAL + entry("audio", feature_list(*values)) + field(7, b"unknown"))
    context = field(
        1, b"".join([*NAMES[:2], NAMES[3], entry("audio_timesteps", int_feature(2048))])
    )
    record = parse_example(lists + context)
    assert record.audio.tolist() == [[float(value)] for value in range(2048)]
