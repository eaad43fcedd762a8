"""The rows of a plan's listing: videos, and the files that they were found in."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pyarrow as pa

from avmit import AvmitError
from extraction.extract.subject import Row, Subject
from extraction.extract.whereabouts import Found, Whereabouts

_LOOKING = 16
"""Threads that ask for files: on network disks each answer takes its time."""
_AT_ONCE = 2000  # videos that a thread looks for before it is given others

_FILE = (("path", pa.binary()), ("size", pa.int64()), ("mtime_ns", pa.int64()))
"""The last columns: of a file, all None for a video that is missing; paths are of bytes, as names
of files are."""


def columns(subject: Subject) -> pa.Schema:
    """Return the columns of a listing; a list's own may have the name of one of the last."""
    known = zip(subject.fields, subject.types, strict=True)
    fields = [pa.field(name, of, nullable=False) for name, of in known]
    return pa.schema([*fields, *(pa.field(*one) for one in _FILE)])


def look(whereabouts: Whereabouts, places: Sequence[int]) -> Iterator[list[Found]]:
    """Yield what is found of videos, some at a time, in order."""

    def some(start: int) -> list[Found]:
        return [whereabouts.look(place) for place in places[start : start + _AT_ONCE]]

    with ThreadPoolExecutor(_LOOKING, "avmit-look") as pool:
        yield from pool.map(some, range(0, len(places), _AT_ONCE))


def rows_of(subject: Subject, videos: Sequence[Row], found: Sequence[Found]) -> pa.Table:
    """Return the rows of one shard."""
    files = [
        (None, None, None) if one is None else (os.fsencode(one[0]), *one[1:]) for one in found
    ]
    schema = columns(subject)
    values = [*zip(*videos, strict=True), *zip(*files, strict=True)]
    arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def read_rows(table: pa.Table) -> tuple[list[Row], list[Found]]:
    """Return a shard's videos, and what was found of their files.

    Raises:
        AvmitError: a file is not below the folder of videos.
    """
    values = [column.to_pylist() for column in table.columns]
    videos = list(zip(*values[: -len(_FILE)], strict=True))
    found: list[Found] = []
    for path, size, changed in zip(*values[-len(_FILE) :], strict=True):
        found.append(None if path is None else (below(os.fsdecode(path)), size, changed))
    return videos, found


def below(path: str) -> str:
    """Return the path of a plan's file, which is below the folder of videos.

    Raises:
        AvmitError: it would not be.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise AvmitError(
            f"a plan names {path}, which is not below the folder of videos: plan again"
        )
    return path
