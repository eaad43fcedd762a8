"""Serialized messages, put together field by field."""

import numpy as np


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def bytes_feature(*values: bytes) -> bytes:
    return field(1, b"".join(field(1, value) for value in values))


def int_feature(value: int) -> bytes:
    return field(3, field(1, varint(value)))


def entry(key: str, value: bytes) -> bytes:
    return field(1, field(1, key.encode()) + field(2, value))


def feature_list(*features: bytes) -> bytes:
    return b"".join(field(1, feature) for feature in features)


def rows(start: float, steps: int, width: int) -> list[bytes]:
    values = np.arange(start, start + steps * width, dtype=np.float32).reshape(steps, width)
    return [bytes_feature(bytes(row)) for row in values]


NAMES = [
    entry("filename", bytes_feature(b"diving/a.mp4")),
    entry("label", bytes_feature(b"diving")),
    entry("audio_timesteps", int_feature(2)),
    entry("visual_timesteps", int_feature(3)),
]


AUDIO = entry("audio", feature_list(*rows(0, 2, 4)))
VISUAL = entry("visual_object", feature_list(*rows(100, 3, 5)))
CONTEXT = field(1, b"".join(NAMES))
LISTS = field(2, AUDIO + VISUAL)
UNKNOWN = field(7, b"unknown") + varint(9 << 3) + varint(5)
