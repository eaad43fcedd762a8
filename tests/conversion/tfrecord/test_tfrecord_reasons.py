"""A bad record is refused with the reason, word for word."""

import gzip
import struct
from collections.abc import Callable
from typing import Any

import google_crc32c
import numpy as np
import pytest

from conversion.tfrecord.record import BadRecord, read_record
from conversion.tfrecord.sequence_example import SequenceExample


def crc(data: bytes) -> bytes:
    value = google_crc32c.value(data)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + crc(length) + payload + crc(payload)


def good_example() -> Any:
    """Two audio timesteps of width 4 and three visual ones of width 5."""
    message = SequenceExample()
    context = message.context.feature
    context["filename"].bytes_list.value.append(b"diving/yt-1.mp4")
    context["label"].bytes_list.value.append(b"diving")
    context["audio_timesteps"].int64_list.value.append(2)
    context["visual_timesteps"].int64_list.value.append(3)
    for name, shape in (("audio", (2, 4)), ("visual_object", (3, 5))):
        for row in np.ones(shape, np.float32):
            feature = message.feature_lists.feature_list[name].feature.add()
            feature.bytes_list.value.append(row.tobytes())
    return message


PAYLOAD = good_example().SerializeToString(deterministic=True)
FRAMED = framed(PAYLOAD)
# With no time in it: the parameters below name the tests, which must be the same in every process.
RECORD = gzip.compress(FRAMED, mtime=0)
REPACKED = gzip.compress(FRAMED, 1, mtime=0)


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def reason(data: bytes) -> str:
    with pytest.raises(BadRecord) as bad:
        read_record(data)
    return str(bad.value)


def test_the_record_that_the_others_here_differ_from_is_good() -> None:
    record = read_record(RECORD)
    assert (record.filename, record.label) == ("diving/yt-1.mp4", "diving")
    assert record.audio.tolist() == [[1.0] * 4] * 2
    assert record.visual.tolist() == [[1.0] * 5] * 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (FRAMED, "is not gzip"),
        (RECORD[:-1], "is truncated gzip"),
        (RECORD[: len(RECORD) // 2], "is truncated gzip"),
        (RECORD[:5], "is truncated gzip"),
        (RECORD + b"\0\0\0", "has 3 bytes after its gzip member"),
        (RECORD * 2, f"has {len(RECORD)} bytes after its gzip member"),
        (RECORD * 3, f"has {2 * len(RECORD)} bytes after its gzip member"),
        (RECORD * 5, f"has {4 * len(RECORD)} bytes after its gzip member"),
        (RECORD + REPACKED, f"has {len(REPACKED)} bytes after its gzip member"),
        (RECORD + b"junkjunk" + RECORD[-8:], "has 16 bytes after its gzip member"),
        (RECORD + bytes(5000), "has 5,000 bytes after its gzip member"),
    ],
)
def test_the_file_is_one_gzip_member(data: bytes, message: str) -> None:
    assert reason(data) == message


@pytest.mark.parametrize("from_end", [1, 5])
def test_the_crc_and_the_length_that_gzip_notes_must_hold(from_end: int) -> None:
    damaged = flipped(RECORD, len(RECORD) - from_end)
    assert reason(damaged).startswith("is damaged gzip (")


@pytest.mark.parametrize("flags", [0x20, 0x40, 0x80, 0xFF])
def test_reserved_flags_of_gzip_are_not_set(flags: int) -> None:
    assert reason(RECORD[:3] + bytes([flags]) + RECORD[4:]) == (
        "is damaged gzip (unknown header flags set)"
    )


def test_a_zip_bomb_is_refused() -> None:
    bomb = gzip.compress(bytes(8 * 1024 * 1024 + 1), compresslevel=1)
    assert reason(bomb) == "inflates to more than 8,388,608 bytes"
    assert reason(gzip.compress(bytes(8 * 1024 * 1024), 1)) == "fails the CRC of its length"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no example"),
        (FRAMED[:7], "is truncated inside its length"),
        (flipped(FRAMED, 0), "fails the CRC of its length"),
        (flipped(FRAMED, 8), "fails the CRC of its length"),
        (FRAMED[:-1], "is truncated inside its payload"),
        (FRAMED[:12], "is truncated inside its payload"),
        (flipped(FRAMED, 12), "fails the CRC of its payload"),
        (flipped(FRAMED, len(FRAMED) - 1), "fails the CRC of its payload"),
        (FRAMED * 2, "holds more than one example"),
        (FRAMED + b"\0", "holds more than one example"),
    ],
)
def test_the_framing_holds_one_example(content: bytes, message: str) -> None:
    assert reason(gzip.compress(content)) == message


@pytest.mark.parametrize("payload", [b"\xff", PAYLOAD[:-1], b"\x0a\x7f", b"\x00\x00"])
def test_the_payload_is_a_sequence_example(payload: bytes) -> None:
    assert reason(gzip.compress(framed(payload))).startswith("is not a SequenceExample (")


CONTEXT = ["filename", "label", "audio_timesteps", "visual_timesteps"]


def _drop(name: str) -> Callable[[Any], None]:
    return lambda message: message.context.feature.pop(name)


def _other_kind(name: str) -> Callable[[Any], None]:
    return lambda message: message.context.feature[name].float_list.value.append(1)


def _second_value(name: str) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        feature = message.context.feature[name]
        values = getattr(feature, feature.WhichOneof("kind")).value
        values.append(values[0])

    return change


def reason_with(change: Callable[[Any], Any]) -> str:
    message = good_example()
    change(message)
    return reason(gzip.compress(framed(message.SerializeToString())))


@pytest.mark.parametrize("change", [_drop, _other_kind, _second_value])
@pytest.mark.parametrize("name", CONTEXT)
def test_the_context_has_each_field_once(
    name: str, change: Callable[[str], Callable[[Any], None]]
) -> None:
    assert reason_with(change(name)) == f"lacks the context field '{name}'"


@pytest.mark.parametrize("name", ["filename", "label"])
def test_texts_are_utf8(name: str) -> None:
    def change(message: Any) -> None:
        message.context.feature[name].bytes_list.value[0] = b"caf\xe9"

    assert reason_with(change) == f"has a '{name}' that is not UTF-8"


LISTS = {"audio": "audio_timesteps", "visual_object": "visual_timesteps"}


@pytest.mark.parametrize("name", LISTS)
def test_both_lists_are_there(name: str) -> None:
    def change(message: Any) -> None:
        del message.feature_lists.feature_list[name]

    assert reason_with(change) == f"lacks the feature list '{name}'"


def test_an_empty_message_lacks_everything() -> None:
    assert reason(gzip.compress(framed(b""))) == "lacks the context field 'filename'"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("said", [0, 1, 9, -1, 2**62])
def test_timesteps_are_as_many_as_said(name: str, said: int) -> None:
    def change(message: Any) -> None:
        message.context.feature[LISTS[name]].int64_list.value[0] = said

    held = {"audio": 2, "visual_object": 3}[name]
    assert reason_with(change) == f"says {said} timesteps of '{name}' and holds {held}"


@pytest.mark.parametrize("name", LISTS)
def test_there_is_a_timestep(name: str) -> None:
    def change(message: Any) -> None:
        message.context.feature[LISTS[name]].int64_list.value[0] = 0
        del message.feature_lists.feature_list[name].feature[:]

    assert reason_with(change) == f"has no timesteps of '{name}'"


def _rows(name: str, *rows: bytes) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        features = message.feature_lists.feature_list[name].feature
        del features[:]
        for row in rows:
            features.add().bytes_list.value.append(row)
        message.context.feature[LISTS[name]].int64_list.value[0] = len(rows)

    return change


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("rows", [(bytes(8), bytes(12)), (bytes(8), b""), (bytes(8), bytes(9))])
def test_timesteps_are_equally_wide(name: str, rows: tuple[bytes, ...]) -> None:
    assert reason_with(_rows(name, *rows)) == f"has timesteps of '{name}' of different widths"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("rows", [(b"",), (b"", b""), (bytes(6), bytes(6)), (bytes(2), bytes(2))])
def test_timesteps_are_float32(name: str, rows: tuple[bytes, ...]) -> None:
    assert reason_with(_rows(name, *rows)) == f"has timesteps of '{name}' that are not float32"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("kind", ["no value", "two values", "floats"])
def test_a_timestep_is_one_bytes_value(name: str, kind: str) -> None:
    def change(message: Any) -> None:
        feature = message.feature_lists.feature_list[name].feature[1]
        match kind:
            case "no value":
                feature.Clear()
            case "two values":
                feature.bytes_list.value.append(feature.bytes_list.value[0])
            case _:
                feature.float_list.value.extend([1.0] * 4)

    wanted = f"has a timestep of '{name}' without exactly one bytes value"
    assert reason_with(change) == wanted


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_are_finite(name: str, value: float) -> None:
    rows = np.ones((2, 3), np.float32)
    rows[1, 2] = value
    assert reason_with(_rows(name, *map(bytes, rows))) == f"has NaN or infinity in '{name}'"
