"""The rows of a plan's listing: rated videos, and the files that they were found in."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pyarrow as pa

from avmit import AvmitError
from conversion.release.annotations import Video
from extraction.media.videos import Videos

Found = tuple[str, int, int] | None
"""A file's path below the folder of videos, its size and its time of change in ns; None for a video
that is missing."""

_LOOKING = 16
"""Threads that ask for files: on network disks each answer takes its time."""
_AT_ONCE = 2000  # videos that a thread looks for before it is given others

_NUMBERS = ("r1", "r2", "r3")
COLUMNS = pa.schema(
    [
        *((name, pa.int64() if name in _NUMBERS else pa.string()) for name in Video._fields),
        *(("path", pa.binary()), ("size", pa.int64()), ("mtime_ns", pa.int64())),
    ]
)
"""`path` is None for a video that is missing; it is of bytes, as names of files are."""


def look(copy: Videos, videos: Sequence[Video]) -> Iterator[list[Found]]:
    """Yield what is found of videos, some at a time, in order."""

    def some(start: int) -> list[Found]:
        chosen = videos[start : start + _AT_ONCE]
        return [copy.look(video.video_location, video.filename) for video in chosen]

    with ThreadPoolExecutor(_LOOKING, "avmit-look") as pool:
        yield from pool.map(some, range(0, len(videos), _AT_ONCE))


def rows_of(videos: Sequence[Video], found: Sequence[Found]) -> pa.Table:
    """Return the rows of one shard."""
    files = [
        (None, None, None) if one is None else (os.fsencode(one[0]), *one[1:]) for one in found
    ]
    columns = [*zip(*videos, strict=True), *zip(*files, strict=True)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, COLUMNS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=COLUMNS)


def read_rows(table: pa.Table, root: Path) -> tuple[list[Video], list[Path | None], list[Found]]:
    """Return a shard's videos, their files below `root`, and what was found of these.

    Raises:
        AvmitError: a file is not below the root.
    """
    values = table.to_pydict()
    videos = list(map(Video._make, zip(*(values[name] for name in Video._fields), strict=True)))
    found: list[Found] = []
    for path, size, changed in zip(values["path"], values["size"], values["mtime_ns"], strict=True):
        found.append(None if path is None else (os.fsdecode(path), size, changed))
    return videos, [below(root, one[0]) if one else None for one in found], found


def below(root: Path, path: str) -> Path:
    """Return a file of a plan.

    Raises:
        AvmitError: it would not be below the root.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise AvmitError(f"a plan names {path}, which is not below {root}: plan again")
    return root / pure
