"""A message is read as protobuf reads it, in whatever order and with whatever else it was written.

The messages are put together byte by byte here; what they mean is taken from protobuf's own parse.
"""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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

from conversion.tfrecord.record import BadRecord, parse_example
from conversion.tfrecord.sequence_example import SequenceExample


def float_feature(*values: float) -> bytes:
    return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))


OTHER_AUDIO = entry("audio", feature_list(*rows(50, 2, 4)))

Meaning = tuple[str, str, list[list[float]], list[list[float]]]


def protobuf_meaning(payload: bytes) -> Meaning | None:
    """What a message says by protobuf's parse, or None where it is not a good record."""
    try:
        message = SequenceExample.FromString(payload)
    except Exception:
        return None
    context, lists = message.context.feature, message.feature_lists.feature_list
    texts: list[str] = []
    for name in ("filename", "label"):
        values = context[name].bytes_list.value if name in context else []
        if len(values) != 1 or values[0].decode(errors="replace").encode() != values[0]:
            return None
        texts.append(values[0].decode())
    read: list[list[list[float]]] = []
    for name, count in (("audio", "audio_timesteps"), ("visual_object", "visual_timesteps")):
        values = [list(feature.bytes_list.value) for feature in lists[name].feature]
        steps = list(context[count].int64_list.value)
        if steps != [len(values)] or not values or any(len(value) != 1 for value in values):
            return None
        widths = {len(value[0]) for value in values}
        if len(widths) != 1 or not min(widths) or min(widths) % 4:
            return None
        read.append([np.frombuffer(value[0], "<f4").tolist() for value in values])
    return texts[0], texts[1], read[0], read[1]


def our_meaning(payload: bytes) -> Meaning | None:
    try:
        record = parse_example(payload)
    except BadRecord:
        return None
    return record.filename, record.label, record.audio.tolist(), record.visual.tolist()


GOOD = {
    "as published": CONTEXT + LISTS,
    "feature lists first": LISTS + CONTEXT,
    "visual before audio": CONTEXT + field(2, VISUAL + AUDIO),
    "context reversed": field(1, b"".join(NAMES[::-1])) + LISTS,
    "context in two parts": field(1, NAMES[0] + NAMES[1]) + field(1, NAMES[2] + NAMES[3]) + LISTS,
    "context around the lists": field(1, NAMES[0] + NAMES[1])
    + LISTS
    + field(1, b"".join(NAMES[2:])),
    "lists in two parts": CONTEXT + field(2, AUDIO) + field(2, VISUAL),
    "unknown fields first": UNKNOWN + CONTEXT + LISTS,
    "unknown fields between": CONTEXT + UNKNOWN + LISTS,
    "unknown fields last": CONTEXT + LISTS + UNKNOWN,
    "unknown fields in the lists": CONTEXT + field(2, AUDIO + UNKNOWN + VISUAL),
    "unknown fields in a timestep": CONTEXT
    + field(2, entry("audio", feature_list(*(row + UNKNOWN for row in rows(0, 2, 4)))) + VISUAL),
    "an unknown list": CONTEXT
    + field(2, AUDIO + entry("more", feature_list(*rows(0, 1, 1))) + VISUAL),
    "an unknown empty list": CONTEXT + field(2, entry("", b"") + AUDIO + VISUAL),
    "an unknown list of floats": CONTEXT
    + field(2, AUDIO + entry("more", feature_list(float_feature(1.0))) + VISUAL),
    "a map value before its key": CONTEXT
    + field(2, field(1, field(2, feature_list(*rows(0, 2, 4))) + field(1, b"audio")) + VISUAL),
    "lengths longer than needed": CONTEXT
    + field(2, field(1, b"\x0a\x85\x00audio" + field(2, feature_list(*rows(0, 2, 4)))) + VISUAL),
}


@pytest.mark.parametrize("name", GOOD)
def test_the_same_record_in_another_order_or_with_more(name: str) -> None:
    wanted = protobuf_meaning(CONTEXT + LISTS)
    assert wanted is not None
    assert protobuf_meaning(GOOD[name]) == wanted
    assert our_meaning(GOOD[name]) == wanted


TWICE = {
    "a list twice, the last counts": CONTEXT + field(2, AUDIO + OTHER_AUDIO + VISUAL),
    "a list twice, apart": CONTEXT + field(2, AUDIO + VISUAL) + field(2, OTHER_AUDIO),
    "a context field twice": field(1, entry("label", bytes_feature(b"frying")) + b"".join(NAMES))
    + LISTS,
    "a timestep of floats, then bytes": CONTEXT
    + field(
        2,
        entry("audio", feature_list(*(float_feature(1.0) + row for row in rows(7, 2, 4)))) + VISUAL,
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_what_stands_twice_means_what_protobuf_says(name: str) -> None:
    wanted = protobuf_meaning(TWICE[name])
    assert wanted is not None
    assert our_meaning(TWICE[name]) == wanted


BAD = {
    "a timestep of bytes, then floats": CONTEXT
    + field(
        2,
        entry("audio", feature_list(*(row + float_feature(1.0) for row in rows(7, 2, 4)))) + VISUAL,
    ),
    "a list of floats": CONTEXT
    + field(2, entry("audio", feature_list(*[float_feature(1.0)] * 2)) + VISUAL),
    "one timestep of floats": CONTEXT
    + field(2, entry("audio", feature_list(rows(0, 1, 4)[0], float_feature(1, 2, 3, 4))) + VISUAL),
    "a list name that is not UTF-8": CONTEXT
    + field(2, AUDIO + VISUAL + field(1, field(1, b"\xff") + field(2, b""))),
    "an empty list before another": CONTEXT + field(2, entry("audio", b"") + VISUAL),
    "a length past the end": CONTEXT + LISTS[:-1],
}


@pytest.mark.parametrize("name", BAD)
def test_what_protobuf_finds_no_record_in_is_bad(name: str) -> None:
    assert protobuf_meaning(BAD[name]) is None
    assert our_meaning(BAD[name]) is None


def lists_of(audio: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(audio, max_size=4).map(lambda features: feature_list(*features))


value = st.sampled_from([b"", bytes(4), struct.pack("<f", 1.5), bytes(8), b"\n\n\n\n", b"\x0a\x04"])
feature = st.one_of(
    st.lists(value, max_size=2).map(lambda values: bytes_feature(*values)),
    st.just(float_feature(1.0)),
    st.just(b""),
)
regular = st.builds(
    lambda row, steps: feature_list(*[bytes_feature(row)] * steps), value, st.integers(0, 4)
)
key = st.sampled_from(["audio", "visual_object", "other", "", "\n"])
list_entry = st.builds(entry, key, st.one_of(regular, lists_of(feature)))
odd_entry = st.sampled_from([UNKNOWN, field(1, b""), field(1, field(2, b"")), field(1, UNKNOWN)])
context_entry = st.one_of(
    st.sampled_from(NAMES),
    st.builds(
        entry,
        st.sampled_from(["audio_timesteps", "visual_timesteps"]),
        st.builds(int_feature, st.integers(0, 4)),
    ),
)
lists_field = st.lists(st.one_of(list_entry, list_entry, odd_entry), max_size=4).map(
    lambda entries: field(2, b"".join(entries))
)
context_field = st.lists(context_entry, max_size=3).map(
    lambda entries: field(1, b"".join([*NAMES, *entries]))
)
messages = st.one_of(
    st.builds(lambda context, lists: context + lists, context_field, lists_field),
    st.lists(st.one_of(context_field, lists_field, st.just(UNKNOWN)), max_size=4).map(b"".join),
)


@settings(max_examples=500)
@given(messages)
def test_any_message_means_what_protobuf_says(payload: bytes) -> None:
    assert our_meaning(payload) == protobuf_meaning(payload)


@settings(max_examples=500)
@given(st.integers(0, len(CONTEXT + LISTS) - 1), st.integers(0, 255))
def test_any_byte_replaced_means_what_protobuf_says(position: int, byte: int) -> None:
    payload = CONTEXT + LISTS
    payload = payload[:position] + bytes([byte]) + payload[position + 1 :]
    meaning: Any = protobuf_meaning(payload)
    if meaning is not None and not np.isfinite(np.concatenate([*meaning[2], *meaning[3]])).all():
        meaning = None
    assert our_meaning(payload) == meaning
