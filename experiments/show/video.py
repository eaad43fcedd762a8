"""Bring together what the configs of a package say of one video."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conversion.package.manifest import Manifest, read_package
from experiments.choices.name_list import read_names
from experiments.choices.sources import source_of
from experiments.show.finding import NO_KEY, find_video
from experiments.show.small import shapes_at, small_columns

_HAS_AUDIO = "has_audio"
_CLASS = ("AVMIT_label", "label")


@dataclass(frozen=True)
class Row:
    """A video's row of a config: its number within its split, from 0, and embeddings' shapes."""

    config: str
    split: str
    row: int
    shapes: dict[str, list[int]] = field(default_factory=dict)
    has_audio: bool | None = None


@dataclass(frozen=True)
class Sibling:
    """Another clip of the same source video."""

    filename: str
    label: str | None


@dataclass(frozen=True)
class Video:
    """What is known of a video."""

    columns: dict[str, Any]
    """The small columns of its rows; the class is `label`, by its name."""
    ratings: list[int]
    """Its single ratings in the order of the file."""
    test_stimulus: bool | None
    """Whether it is of the test set; None for a package that has none."""
    silent: bool | None
    """Whether it has no sound; None where nothing tells."""
    source: str
    siblings: list[Sibling]
    rows: list[Row]
    without_row: list[str]
    """The configs that have no row of it."""


def read_video(package: Path, name: str, silent: Path | None = None) -> Video:
    """Return what a package knows of the video that a name means; no embedding is read.

    Args:
        package: folder of the package.
        name: its filename, tfrecord_filename or new_filename, or the stem of one of them.
        silent: the list of `avmit silent`, for configs that do not tell.

    Raises:
        AvmitError: there is no such package, or no such video, or more than one.
    """
    manifests = read_package(package)
    key, video = find_video(package, manifests, name)
    columns: dict[str, Any] = {}
    rows: list[Row] = []
    without: list[str] = []
    names: dict[str, Any] = {}
    for config, manifest in manifests.items():
        if config == NO_KEY:
            continue
        there = len(rows)
        for split, table in small_columns(package / config, manifest).items():
            names |= _classes(table)
            for number in pc.indices_nonzero(pc.equal(table.column(key), video)).to_pylist():
                said = {one: table.column(one)[number].as_py() for one in table.column_names}
                rows.append(_row(package / config, manifest, split, number, said))
                columns = {**said, **columns}
        if len(rows) == there:
            without.append(config)
    columns.pop(_HAS_AUDIO, None)
    columns["label"] = next((columns[one] for one in _CLASS if one in columns), None)
    columns.pop("AVMIT_label", None)
    filename = str(columns["filename"])
    source = source_of(filename)
    return Video(
        columns=columns,
        ratings=_ratings(package, manifests.get(NO_KEY), filename, columns["label"]),
        test_stimulus=any(row.config == "test_set" for row in rows)
        if "test_set" in manifests
        else None,
        silent=_silent(rows, filename, silent),
        source=source,
        siblings=[
            Sibling(other, label)
            for other, label in sorted(names.items())
            if other != filename and source in other and source_of(other) == source
        ],
        rows=rows,
        without_row=without,
    )


def _row(folder: Path, manifest: Manifest, split: str, number: int, said: dict[str, Any]) -> Row:
    shapes = shapes_at(folder, manifest, split, number)
    return Row(manifest.config, split, number, shapes, said.get(_HAS_AUDIO))


def _classes(table: pa.Table) -> dict[str, Any]:
    """Return the class of each filename, None where rows have none."""
    label = next((one for one in _CLASS if one in table.column_names), None)
    filenames = table.column("filename").to_pylist()
    labels = [None] * len(filenames) if label is None else table.column(label).to_pylist()
    return dict(zip(filenames, labels, strict=True))


def _ratings(package: Path, raw: Manifest | None, filename: str, label: Any) -> list[int]:
    if raw is None:
        return []
    found: list[int] = []
    for table in small_columns(
        package / NO_KEY, raw, ["filename", "AVMIT_label", "rating"]
    ).values():
        mine = pc.equal(table.column("filename"), filename)
        if label is not None:
            mine = pc.and_(mine, pc.equal(table.column("AVMIT_label"), label))
        found += table.column("rating").filter(mine).to_pylist()
    return found


def _silent(rows: list[Row], filename: str, listed: Path | None) -> bool | None:
    told = [row.has_audio for row in rows if row.has_audio is not None]
    if told:
        return not any(told)
    return None if listed is None else filename in set(read_names(listed))
