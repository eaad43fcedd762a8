"""The rows of a plan's shards in one columnar file, of which a task reads those of its own alone.

Each shard's rows are an Arrow stream of their own; the plan says where it begins and its SHA-256.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from conversion import ground
from conversion.parts.agreed import read_late
from conversion.parts.plan import PlannedShard
from conversion.whole import new_file
from conversion.wording import first_line

_LONGEST = 1_000_000_000  # bytes of one shard's rows
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")

Cut = tuple[str, str, pa.Table]
"""A shard's file name, split and rows."""


def write_listing(folder: Path, cuts: Iterable[Cut]) -> tuple[str, tuple[PlannedShard, ...]]:
    """Write the rows of all shards into a new file of `folder`, and return its name and where they
    stand.

    The name follows from the content, so that those who write the same write the same file.
    """
    temporary, file = new_file(folder)
    shards = []
    whole = hashlib.sha256()
    at = 0
    try:
        with file:
            for name, split, rows in cuts:
                data = memoryview(_packed(rows))
                digest = hashlib.sha256(data)
                whole.update(data)
                shards.append(
                    PlannedShard(name, split, len(rows), at, len(data), digest.hexdigest())
                )
                at += len(data)
                while data:
                    data = data[file.write(data) :]
        listing = f"listing-{whole.hexdigest()[:16]}"
        temporary.replace(folder / listing)
    finally:
        temporary.unlink(missing_ok=True)
    return listing, tuple(shards)


def read_rows_of(listing: Path, shard: PlannedShard, columns: pa.Schema) -> pa.Table:
    """Return a shard's rows, which have those columns.

    Raises:
        AvmitError: they cannot be read, or are not what the plan says.
    """
    try:
        data = read_late(listing, _LONGEST, shard.offset, shard.length)
        if hashlib.sha256(data).hexdigest() != shard.sha256:
            raise ValueError("it is not what the plan says")
        table = pa.ipc.open_stream(data).read_all()
        table.validate(full=True)
        if not table.schema.equals(columns) or len(table) != shard.rows:
            raise ValueError("it has other columns or rows than the plan says")
        whole = zip(table.columns, columns, strict=True)  # by place: a list may repeat a name
        if any(column.null_count for column, field in whole if not field.nullable):
            raise ValueError("it has nulls where none can be")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ground.AvmitError(
            f"{listing} cannot be read for {shard.file} ({first_line(error)}): delete "
            f"{listing.parent} to plan again"
        ) from None
    return table


def _packed(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_OPTIONS) as writer:
        writer.write_table(rows)
    return sink.getvalue()
