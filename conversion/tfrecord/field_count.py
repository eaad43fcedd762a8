"""Count a serialized SequenceExample's fields, before protobuf makes an object of each.

Two bytes can be a whole timestep, for which protobuf takes forty and Python a microsecond: a
message of megabytes, packed into a few kilobytes, would take minutes and gigabytes.
"""

MOST_FIELDS = 16_384
"""Five thousand timesteps; a published record has some sixty fields."""

_PACKED = 16
"""So many bytes of packed numbers count as a field, for they cost protobuf about as much."""

_Inside = dict[int, "_Inside"]

# What a message's length-delimited fields hold, by number; those of bytes are not looked into.
_NUMBERS: _Inside = {}
_FEATURE: _Inside = {1: {}, 2: {1: _NUMBERS}, 3: {1: _NUMBERS}}  # bytes, floats, integers
_FEATURE_LIST: _Inside = {1: _FEATURE}
_EXAMPLE: _Inside = {1: {1: {2: _FEATURE}}, 2: {1: {2: _FEATURE_LIST}}}  # maps by name


class _TooMany(Exception):
    """The message has more than MOST_FIELDS fields."""


def has_too_many_fields(payload: bytes) -> bool:
    """Tell whether a SequenceExample has more than MOST_FIELDS fields, up to its end or damage."""
    try:
        _count(payload, 0, len(payload), _EXAMPLE, 0)
    except _TooMany:
        return True
    return False


def _count(payload: bytes, position: int, end: int, inside: _Inside, count: int) -> int:
    """Return `count` plus the fields of the message that lies between `position` and `end`."""
    try:
        while position < end:
            count += 1
            if count > MOST_FIELDS:
                raise _TooMany
            tag, position = _varint(payload, position)
            match tag & 7:
                case 0:
                    _, position = _varint(payload, position)
                case 1:
                    position += 8
                case 2:
                    length, position = _varint(payload, position)
                    if position + length > end:
                        break
                    within = inside.get(tag >> 3)
                    if within is _NUMBERS:
                        count += length // _PACKED
                    elif within is not None:
                        count = _count(payload, position, position + length, within, count)
                    position += length
                case 5:
                    position += 4
                case 3 | 4:  # a group's ends, between which are fields like any other
                    pass
                case _:
                    break
    except IndexError:  # cut off inside a varint
        pass
    return count


def _varint(payload: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position`, and where it ends."""
    value = shift = 0
    while (byte := payload[position]) >= 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
        if shift > 63:
            raise IndexError
    return value | byte << shift, position + 1
