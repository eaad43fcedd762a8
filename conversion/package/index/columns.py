"""Which of a record batch's buffers are whose: they lie column after column, depth first."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from conversion.package.index.messages import ALIGNMENT, BatchHeader
from conversion.wording import printable

_FIXED = (pa.types.is_primitive, pa.types.is_decimal, pa.types.is_fixed_size_binary)
_VARIABLE = (
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_large_string,
    pa.types.is_large_binary,
)


@dataclass(frozen=True)
class Column:
    """A top-level column, and where its nodes and buffers stand among those of a record batch."""

    name: str
    nodes: slice
    buffers: slice


def columns_of(schema: pa.Schema) -> list[Column]:
    """Return the columns of a schema, in order.

    Raises:
        ValueError: a column is of a type whose buffers are not told apart here, as none of a config
            of avmit is, two have one name, or a name is not to be shown on one line.
    """
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("two columns have one name")
    if not all(printable(name) == name for name in schema.names):
        raise ValueError("the name of a column is no text of one line")
    found = []
    node = buffer = 0
    for field in schema:
        nodes, buffers = _counts(field.type, field.name)
        found.append(Column(field.name, slice(node, node + nodes), slice(buffer, buffer + buffers)))
        node, buffer = node + nodes, buffer + buffers
    return found


def byte_ranges(header: BatchHeader, columns: Sequence[Column]) -> list[tuple[int, int]]:
    """Return where each column's buffers are in a record batch's body, as (offset, length).

    Raises:
        ValueError: they do not lie one after another in it, or there are more or fewer of them.
    """
    last = columns[-1] if columns else None
    expected = (last.nodes.stop, last.buffers.stop) if last else (0, 0)
    if (len(header.nodes), len(header.buffers)) != expected:
        raise ValueError("it has other buffers than its columns")
    ranges = []
    end = 0
    for column in columns:
        start = None
        for offset, length in header.buffers[column.buffers]:
            if length == 0:
                continue  # such a buffer may be said to be anywhere
            if offset < end or offset % ALIGNMENT or not 0 < length <= header.body_length - offset:
                raise ValueError(f"the buffers of {column.name} do not lie one after another")
            start = offset if start is None else start
            end = offset + length
        start = end + -end % ALIGNMENT if start is None else start
        ranges.append((start, max(end, start) - start))
    return ranges


def _counts(kind: pa.DataType, name: str) -> tuple[int, int]:
    """Return how many nodes and buffers a column of that type has."""
    if any(is_kind(kind) for is_kind in _FIXED):
        return 1, 2
    if any(is_kind(kind) for is_kind in _VARIABLE):
        return 1, 3
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner, own = [kind.value_type], 2
    elif pa.types.is_fixed_size_list(kind):
        inner, own = [kind.value_type], 1
    elif pa.types.is_struct(kind):
        inner, own = [kind.field(index).type for index in range(kind.num_fields)], 1
    else:
        raise ValueError(f"column {name} is {kind}")
    counts = [_counts(one, name) for one in inner]
    return 1 + sum(nodes for nodes, _ in counts), own + sum(buffers for _, buffers in counts)
