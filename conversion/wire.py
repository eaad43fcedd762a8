"""Find the embeddings in a serialized SequenceExample without parsing them one by one.

Every published record has the same shape on the wire: one context, one map of feature lists, and
in each list equally long features of one bytes value, so that a list is a matrix of bytes with a
header before each row. Where a message has that shape its rows are one strided copy; where it has
not, protobuf reads it (conversion/tfrecord.py).
Encoding: https://protobuf.dev/programming-guides/encoding/.
"""

import numpy as np
import numpy.typing as npt

_FIELD_1 = 0x0A  # field 1, length-delimited: context, feature, bytes_list, value, a map's key
_FIELD_2 = 0x12  # field 2, length-delimited: feature_lists, a map's value


class _Irregular(Exception):
    """The message is not of the shape that this module reads."""


def regular_lists(payload: bytes) -> tuple[bytes, dict[str, npt.NDArray[np.uint8]]] | None:
    """Return a message's serialized context and, by list name, its rows as (timesteps, bytes).

    None if the message has any other shape, valid or not. The arrays are aligned copies.
    """
    try:
        _, context_end = _delimited(payload, 0, _FIELD_1)
        start, end = _delimited(payload, context_end, _FIELD_2)
        if end != len(payload):
            return None
        lists: dict[str, npt.NDArray[np.uint8]] = {}
        while start < end:
            entry_start, start = _delimited(payload, start, _FIELD_1)
            key_start, key_end = _delimited(payload, entry_start, _FIELD_1)
            list_start, list_end = _delimited(payload, key_end, _FIELD_2)
            name = payload[key_start:key_end].decode()
            if list_end != start or start > end or name in lists:
                return None
            lists[name] = _rows(payload, list_start, list_end)
    except (_Irregular, IndexError, UnicodeDecodeError):
        return None
    return payload[:context_end], lists


def _rows(payload: bytes, start: int, end: int) -> npt.NDArray[np.uint8]:
    feature, stride_end = _delimited(payload, start, _FIELD_1)
    bytes_list, bytes_list_end = _delimited(payload, feature, _FIELD_1)
    value, value_end = _delimited(payload, bytes_list, _FIELD_1)
    stride = stride_end - start
    rows, rest = divmod(end - start, stride)
    if rest or not stride_end == bytes_list_end == value_end:
        raise _Irregular
    matrix = np.frombuffer(payload, np.uint8, rows * stride, start).reshape(rows, stride)
    header = value - start
    if rows > 1 and (matrix[1:, :header] != matrix[0, :header]).any():
        raise _Irregular
    return matrix[:, header:].copy()


def _delimited(payload: bytes, position: int, tag: int) -> tuple[int, int]:
    """Return where the content of the length-delimited field at `position` starts and ends."""
    if payload[position] != tag:
        raise _Irregular
    position += 1
    length = shift = 0
    while True:
        byte = payload[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 28:  # no record is that large; a longer varint is damage
            raise _Irregular
    if position + length > len(payload):
        raise _Irregular
    return position, position + length
