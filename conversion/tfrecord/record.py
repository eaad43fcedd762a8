"""Read and write the release's records without TensorFlow.

A record file is one gzip member around one TFRecord: uint64 length, masked crc32c of the length,
payload, masked crc32c of the payload, all little-endian. The payload is one `SequenceExample`:
context `filename`, `label`, `audio_timesteps` and `visual_timesteps`; feature lists `audio` and
`visual_object`, one bytes value of little-endian float32 for each timestep. The framing is that of
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from isal import igzip_lib, isal_zlib

from avmit import AvmitError
from conversion.tfrecord.field_count import MOST_FIELDS, has_too_many_fields
from conversion.tfrecord.sequence_example import DecodeError, SequenceExample
from conversion.tfrecord.wire import MOST_TIMESTEPS, regular_lists

MAX_RECORD_BYTES = 8 * 1024 * 1024
"""The most that a record may take or inflate to, 150 times a published one (56 KB).

Two encoders of 8,192 values at a hundred timesteps each need 6.6 MB.
"""

LISTS = {"audio": "audio_timesteps", "visual_object": "visual_timesteps"}
"""The feature lists and the context fields that count their timesteps."""

_MOST_TEXT = 4096  # bytes of a file's name or a label
_GZIP_HEADER = b"\x1f\x8b\x08"
_LAST_GZIP_FLAGS = b"\x1f"  # RFC 1952: the upper three bits are reserved and must be zero
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to ask for a gzip member
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_FLOAT = np.dtype("<f4")
_CRC_MASK_DELTA = 0xA282EAD8  # TensorFlow's tensorflow/core/lib/hash/crc32c.h


class BadRecord(AvmitError):
    """A record that cannot be used; the text says why, not which."""


@dataclass(frozen=True, slots=True)
class Record:
    """One video's embeddings as stored: `audio` (T_a, D_a) and `visual` (T_v, D_v) float32."""

    filename: str
    label: str
    audio: npt.NDArray[np.float32]
    visual: npt.NDArray[np.float32]


def read_record(data: bytes) -> Record:
    """Parse a whole record file.

    The arrays are bit for bit what was stored.

    Raises:
        BadRecord: not gzip, truncated, a CRC that does not hold, none or several examples, a field
            missing or of the wrong kind, timesteps that contradict the lists, none at all, rows of
            different widths, NaN or infinity, or more of anything than a record can mean.
    """
    return parse_example(unframe(inflate(data)))


def inflate(data: bytes) -> bytes:
    """Decompress a gzip member that stands alone in `data`, checking its CRC and length.

    Raises:
        BadRecord: not gzip, truncated, damaged, larger than MAX_RECORD_BYTES, or not alone.
    """
    if data[:3] != _GZIP_HEADER:
        raise BadRecord("is not gzip" if data else "is empty")
    if data[3:4] > _LAST_GZIP_FLAGS:  # which isal passes over, and zlib does not
        raise BadRecord("is damaged gzip (unknown header flags set)")
    member = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        inflated: bytes = member.decompress(data, MAX_RECORD_BYTES + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # an untyped stub
        raise BadRecord(f"is damaged gzip ({error})") from error
    if len(inflated) > MAX_RECORD_BYTES:
        raise BadRecord(f"inflates to more than {MAX_RECORD_BYTES:,} bytes")
    if not member.eof:
        raise BadRecord("is truncated gzip")
    if member.unused_data:
        raise BadRecord(f"has {len(member.unused_data):,} bytes after its gzip member")
    return inflated


def unframe(framed: bytes) -> bytes:
    """Return the payload of the one TFRecord in `framed`, both CRCs checked.

    Raises:
        BadRecord: truncated, a CRC that does not hold, or not exactly one record.
    """
    if not framed:
        raise BadRecord("holds no example")
    if len(framed) < _HEADER.size:
        raise BadRecord("is truncated inside its length")
    length, length_crc = _HEADER.unpack_from(framed)
    if masked_crc32c(framed[:8]) != length_crc:
        raise BadRecord("fails the CRC of its length")
    end = _HEADER.size + length
    if len(framed) < end + _CRC.size:
        raise BadRecord("is truncated inside its payload")
    payload = framed[_HEADER.size : end]
    if masked_crc32c(payload) != _CRC.unpack_from(framed, end)[0]:
        raise BadRecord("fails the CRC of its payload")
    if len(framed) != end + _CRC.size:
        raise BadRecord("holds more than one example")
    return payload


def parse_example(payload: bytes) -> Record:
    """Parse a serialized SequenceExample into a Record; raises BadRecord as `read_record` does."""
    regular = regular_lists(payload)
    if regular is not None:
        payload, matrices = regular
    elif has_too_many_fields(payload):
        raise BadRecord(f"has more than {MOST_FIELDS:,} fields")
    try:
        example = SequenceExample.FromString(payload)
    except (DecodeError, ValueError) as error:
        raise BadRecord(f"is not a SequenceExample ({error})") from error
    if regular is None:
        lists = example.feature_lists.feature_list
        matrices = {name: _matrix(lists[name].feature, name) for name in LISTS if name in lists}
    context = example.context.feature
    return Record(
        _context_text(context, "filename"),
        _context_text(context, "label"),
        *(_embedding(matrices, name, _context_steps(context, LISTS[name])) for name in LISTS),
    )


def write_record(record: Record) -> bytes:
    """Return `record` as a record file, byte for byte the same for the same record."""
    example = SequenceExample()
    context = example.context.feature
    context["filename"].bytes_list.value.append(record.filename.encode())
    context["label"].bytes_list.value.append(record.label.encode())
    context["audio_timesteps"].int64_list.value.append(len(record.audio))
    context["visual_timesteps"].int64_list.value.append(len(record.visual))
    lists = example.feature_lists.feature_list
    for name, rows in (("audio", record.audio), ("visual_object", record.visual)):
        for row in np.ascontiguousarray(rows, _FLOAT):
            lists[name].feature.add().bytes_list.value.append(row.tobytes())
    return deflate(frame(example.SerializeToString(deterministic=True)))


def frame(payload: bytes) -> bytes:
    """Put the TFRecord framing around a payload."""
    length = struct.pack("<Q", len(payload))
    crcs = _CRC.pack(masked_crc32c(length)), _CRC.pack(masked_crc32c(payload))
    return length + crcs[0] + payload + crcs[1]


def deflate(framed: bytes) -> bytes:
    """Compress into one gzip member with no time stamp or name in its header."""
    compressed: bytes = igzip_lib.compress(framed, level=2, flag=igzip_lib.COMP_GZIP)
    return compressed


def masked_crc32c(data: bytes) -> int:
    """Return TensorFlow's masked CRC-32C: rotated right by 15 bits, plus a constant."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _CRC_MASK_DELTA) & 0xFFFFFFFF


def _context_text(context: Any, name: str) -> str:
    values = context[name].bytes_list.value  # a field that is not there has none
    if len(values) != 1:
        raise BadRecord(f"lacks the context field '{name}'")
    if len(values[0]) > _MOST_TEXT:
        raise BadRecord(f"has a '{name}' of {len(values[0]):,} bytes")
    try:
        text: str = values[0].decode()
    except UnicodeDecodeError:
        raise BadRecord(f"has a '{name}' that is not UTF-8") from None
    return text


def _context_steps(context: Any, name: str) -> int:
    values = context[name].int64_list.value
    if len(values) != 1:
        raise BadRecord(f"lacks the context field '{name}'")
    steps: int = values[0]
    return steps


def _matrix(features: Any, name: str) -> npt.NDArray[np.uint8]:
    if len(features) > MOST_TIMESTEPS:
        raise BadRecord(
            f"has {len(features):,} timesteps of '{name}', more than {MOST_TIMESTEPS:,}"
        )
    rows = [feature.bytes_list.value for feature in features]
    if any(len(values) != 1 for values in rows):
        raise BadRecord(f"has a timestep of '{name}' without exactly one bytes value")
    if len({len(values[0]) for values in rows}) > 1:
        raise BadRecord(f"has timesteps of '{name}' of different widths")
    joined = b"".join([values[0] for values in rows])
    width = len(rows[0][0]) if rows else 0
    return np.frombuffer(joined, np.uint8).reshape(len(rows), width)


def _embedding(
    matrices: dict[str, npt.NDArray[np.uint8]], name: str, steps: int
) -> npt.NDArray[np.float32]:
    if name not in matrices:
        raise BadRecord(f"lacks the feature list '{name}'")
    matrix = matrices[name]
    if len(matrix) != steps:
        raise BadRecord(f"says {steps} timesteps of '{name}' and holds {len(matrix)}")
    if not steps:
        raise BadRecord(f"has no timesteps of '{name}'")
    if not matrix.size or matrix.nbytes % (steps * _FLOAT.itemsize):
        raise BadRecord(f"has timesteps of '{name}' that are not float32")
    array = matrix.view(_FLOAT)
    if not np.isfinite(array).all():
        raise BadRecord(f"has NaN or infinity in '{name}'")
    return array
