"""Which video a name means: its file, its record, its name as a stimulus, or the stem of those."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from avmit import AvmitError
from conversion.package.kind import of_lists
from conversion.package.manifest import KEY, LISTED_KEY, Manifest
from conversion.wording import printable, some
from experiments.show.small import small_columns

NAMES = ("filename", "tfrecord_filename", "new_filename")
NO_KEY = "raw_ratings"
"""The config whose rows are ratings: it has no column of its own that names a video alone."""


def find_video(package: Path, manifests: Mapping[str, Manifest], name: str) -> tuple[str, str]:
    """Return the column by which a package's rows are matched, and what it says of the video.

    Raises:
        AvmitError: no video, or more than one, has the name; the nearest ones are named.
    """
    key = LISTED_KEY if of_lists(manifests) else KEY
    tables = [
        table
        for config, manifest in manifests.items()
        if config != NO_KEY
        for table in small_columns(package / config, manifest, NAMES).values()
        if key in table.column_names
    ]
    found = _exactly(tables, key, name) or _by_stem(tables, key, name)
    if len(found) == 1:
        return key, found.pop()
    said = printable(name)
    if found:
        raise AvmitError(
            f"'{said}' means {len(found):,} videos of {package} "
            f"({some([printable(one) for one in sorted(found)])}): name one of them"
        )
    near = [printable(one) for one in _nearest(tables, name)]
    hint = f"; near it: {some(near)}" if near else ""
    raise AvmitError(f"no video '{said}' in {package}{hint}: name one by its filename")


def stem_of(name: str) -> str:
    """Return a name without its folder and ending."""
    last = name.rsplit("/", 1)[-1]
    return last.rsplit(".", 1)[0] or last


def _columns(tables: Iterable[pa.Table]) -> Iterable[tuple[pa.Table, pa.ChunkedArray]]:
    for table in tables:
        for column in NAMES:
            if column in table.column_names:
                yield table, table.column(column)


def _exactly(tables: Iterable[pa.Table], key: str, name: str) -> set[str]:
    found: set[str] = set()
    for table, column in _columns(tables):
        found.update(table.column(key).filter(pc.equal(column, name)).to_pylist())
    return found


def _by_stem(tables: Iterable[pa.Table], key: str, name: str) -> set[str]:
    """Return the videos with that stem, in whatever folder; one that is named counts."""
    stem = name if "/" not in name and "." not in name else stem_of(name)
    folder = name.rsplit("/", 1)[0] + "/" if "/" in name else ""
    found: set[str] = set()
    for table, column in _columns(tables):
        near = pc.and_(pc.match_substring(column, stem), pc.starts_with(column, folder))
        kept = zip(
            column.filter(near).to_pylist(), table.column(key).filter(near).to_pylist(), strict=True
        )
        found.update(video for one, video in kept if stem_of(one) == stem)
    return found


def _nearest(tables: Iterable[pa.Table], name: str) -> list[str]:
    """Return up to three names like it, by their whole or by their stem."""
    known = {one for _, column in _columns(tables) for one in column.to_pylist()}
    if "/" in name:
        return difflib.get_close_matches(name, sorted(known), 3, 0.7)
    stems = {stem_of(one): one for one in sorted(known)}
    return [stems[one] for one in difflib.get_close_matches(stem_of(name), list(stems), 3, 0.7)]
