"""The three annotation files of a release and the rules that their rows keep."""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from avmit import AvmitError, Split, ratings_features
from conversion.release.plain_csv import read_plain_csv
from conversion.release.visible_files import visible_files
from conversion.whole import read_regular

FILES = {
    "raw_ratings": "raw_video_ratings.csv",
    "ratings": "video_ratings.csv",
    "test_set": "test_set.csv",
}

_Named = TypeVar("_Named", "Video", "TestVideo")


@dataclass(frozen=True, slots=True)
class RawRating:
    """One person's rating (1, 2 or 3) of one video."""

    filename: str
    AVMIT_label: str
    MIT_label: str
    video_location: str
    rating: int


@dataclass(frozen=True, slots=True)
class Video:
    """A rated video; r1, r2 and r3 count the ratings of that value, three or more together."""

    filename: str
    r1: int
    r2: int
    r3: int
    AVMIT_label: str
    MIT_label: str
    video_location: str
    tfrecord_filename: str


@dataclass(frozen=True, slots=True)
class TestVideo:
    """A video of the test set; `new_filename` is its name as a stimulus, by AVMIT label."""

    filename: str
    AVMIT_label: str
    MIT_label: str
    video_location: str
    new_filename: str
    tfrecord_filename: str


@dataclass(frozen=True)
class Annotations:
    """A release's rows, in the order of its files; `raw_ratings` has the fields of RawRating."""

    raw_ratings: pa.Table
    ratings: list[Video]
    test_set: list[TestVideo]

    @property
    def labels(self) -> list[str]:
        """The sorted AVMIT labels, whose indices the embedding configs' `label` holds."""
        return sorted({video.AVMIT_label for video in self.ratings})

    def split(self, split: Split) -> list[Video]:
        """Return the rated videos of `test` (those in test_set.csv) or `train` (all others)."""
        test = {video.tfrecord_filename for video in self.test_set}
        return [v for v in self.ratings if (v.tfrecord_filename in test) == (split == "test")]


def find_files(source: Path) -> dict[str, Path]:
    """Find the three annotation files anywhere below `source`, by config name.

    Copies are welcome as long as they are the same; those in hidden folders do not count.

    Raises:
        AvmitError: one is missing, cannot be read, or differs from another of its name.
    """
    found: dict[str, Path] = {}
    tables = [Path(path) for path in visible_files(source) if path.endswith(".csv")]
    for config, name in FILES.items():
        paths = sorted(path for path in tables if path.name == name)
        if not paths:
            raise AvmitError(
                f"no {name} in {source}: put the release's three CSV files anywhere in that folder"
            )
        for other in paths[1:]:
            if _content(other) != _content(paths[0]):
                raise AvmitError(f"{paths[0]} and {other} differ: keep the one that is meant")
        found[config] = paths[0]
    return found


def read_annotations(files: dict[str, Path]) -> Annotations:
    """Read the annotation files that `find_files` found.

    Raises:
        AvmitError: a file cannot be read, lacks a column, has one twice or has a bad row; the text
            names file and row.
    """
    raw_ratings = _raw_ratings(files["raw_ratings"])
    ratings = _ratings(files["ratings"])
    test_set = _test_set(files["test_set"])
    rated = {video.tfrecord_filename: video for video in ratings}
    for test_video, row in test_set:
        video = rated.get(test_video.tfrecord_filename)
        if video is None:
            raise row.error(
                f"{test_video.tfrecord_filename} is not in {FILES['ratings']}: "
                "take both files from one release"
            )
        for column in ("filename", "AVMIT_label", "MIT_label", "video_location"):
            here, there = getattr(test_video, column), getattr(video, column)
            if here != there:
                raise row.error(
                    f"{column} is '{here}', but '{there}' in {FILES['ratings']}: "
                    "take both files from one release"
                )
    if not ratings:
        raise AvmitError(f"{files['ratings']} has no rows: take it from the release again")
    return Annotations(raw_ratings, ratings, [video for video, _ in test_set])


def _raw_ratings(file: Path) -> pa.Table:
    schema = ratings_features("raw_ratings").arrow_schema.remove_metadata()
    data = _content(file)
    table = read_plain_csv(data, schema.names)
    if table is not None and _are_whole(table["rating"], _RATING):
        return table.cast(schema)
    rows = [asdict(_raw_rating(row)) for row in _rows(file, data, RawRating)]
    return pa.Table.from_pylist(rows, schema)


def _ratings(file: Path) -> list[Video]:
    """Read the rated videos by column, or, if any rule is not kept, by row, to say where."""
    names = [field.name for field in fields(Video)]
    data = _content(file)
    table = read_plain_csv(data, names)
    if table is not None and all(_are_whole(table[column], _COUNT) for column in _COUNTS):
        columns = {name: table[name].to_pylist() for name in names}
        for column in _COUNTS:
            columns[column] = list(map(int, columns[column]))
        records = columns["tfrecord_filename"]
        sums = map(sum, zip(*(columns[column] for column in _COUNTS), strict=True))
        if (
            min(sums, default=_FEWEST_RATINGS) >= _FEWEST_RATINGS
            and len(set(records)) == len(records)
            and all(map(_is_record_name, records))
        ):
            return list(map(Video, *columns.values()))
    return [video for video, _ in _unique((_video(row), row) for row in _rows(file, data, Video))]


def _test_set(file: Path) -> list[tuple[TestVideo, "_Row"]]:
    rows = _rows(file, _content(file), TestVideo)
    return _unique((_test_video(row), row) for row in rows)


def _content(file: Path) -> bytes:
    try:
        return read_regular(file, _MOST_BYTES)
    except OSError as error:
        what = f"{file} cannot be read ({error.strerror})" if error.strerror else str(error)
        raise AvmitError(f"{what}: take it from the release again") from None


def _are_whole(column: pa.ChunkedArray, allowed: range) -> bool:
    return all(_is_whole(value, allowed) for value in column.unique().to_pylist())


def _is_whole(value: str, allowed: range) -> bool:
    # The length first: int() refuses thousands of digits in a way of its own.
    return value.isascii() and value.isdigit() and len(value) < 10 and int(value) in allowed


def _is_record_name(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not {".", ".."} & set(parts)


class _Row:
    """A CSV row with where it stands; the line counts from 1, the header's."""

    __slots__ = ("_columns", "_fields", "file", "line")

    def __init__(self, file: Path, line: int, columns: dict[str, int], fields: list[str]):
        self.file = file
        self.line = line
        self._columns = columns
        self._fields = fields

    def error(self, what: str) -> AvmitError:
        return AvmitError(f"{self.file}, row {self.line}: {what}")

    def text(self, column: str) -> str:
        value = self._fields[self._columns[column]]
        if not value:
            raise self.error(f"{column} is empty: take the file from the release again")
        return value

    def whole(self, column: str, allowed: range) -> int:
        value = self._fields[self._columns[column]]
        if not _is_whole(value, allowed):
            raise self.error(
                f"{column} is '{value}', not a whole number from {allowed[0]} to {allowed[-1]}: "
                "take the file from the release again"
            )
        return int(value)


_COUNT = range(1000)  # a bound no number of raters reaches, so that a mangled row is seen
_COUNTS = ("r1", "r2", "r3")
_FEWEST_RATINGS = 3
_RATING = range(1, 4)
_MOST_BYTES = 256_000_000
"""Ten times the largest file of the release, and what every machine can hold."""


def _rows(file: Path, data: bytes, kind: type) -> Iterator[_Row]:
    wanted = list(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    try:
        with io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            missing = [column for column in wanted if column not in header]
            if missing:
                raise AvmitError(
                    f"{file}, row 1: no column {', '.join(missing)}; it has "
                    f"{', '.join(header) or 'none'}: take the file from the release again"
                )
            twice = [column for column in wanted if header.count(column) > 1]
            if twice:
                raise AvmitError(
                    f"{file}, row 1: column {', '.join(twice)} stands there more than once: "
                    "take the file from the release again"
                )
            columns = {name: index for index, name in enumerate(header)}
            for fields in reader:
                if not fields:
                    continue
                row = _Row(file, reader.line_num, columns, fields)
                if len(fields) != len(header):
                    raise row.error(
                        f"{len(fields)} fields where the header has {len(header)}: "
                        "take the file from the release again"
                    )
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise AvmitError(f"{file} is not UTF-8 CSV ({error}): take it from the release") from error


def _raw_rating(row: _Row) -> RawRating:
    return RawRating(
        row.text("filename"),
        row.text("AVMIT_label"),
        row.text("MIT_label"),
        row.text("video_location"),
        row.whole("rating", _RATING),
    )


def _video(row: _Row) -> Video:
    video = Video(
        row.text("filename"),
        row.whole("r1", _COUNT),
        row.whole("r2", _COUNT),
        row.whole("r3", _COUNT),
        row.text("AVMIT_label"),
        row.text("MIT_label"),
        row.text("video_location"),
        _record_name(row),
    )
    ratings = video.r1 + video.r2 + video.r3
    # The authors' README says three; the released rows have up to seven, and those are data.
    if ratings < _FEWEST_RATINGS:
        raise row.error(
            f"r1 + r2 + r3 is {ratings}, and every video was rated three times or more: "
            "take the file from the release again"
        )
    return video


def _test_video(row: _Row) -> TestVideo:
    return TestVideo(
        row.text("filename"),
        row.text("AVMIT_label"),
        row.text("MIT_label"),
        row.text("video_location"),
        row.text("new_filename"),
        _record_name(row),
    )


def _record_name(row: _Row) -> str:
    name = row.text("tfrecord_filename")
    if not _is_record_name(name):
        raise row.error(f"tfrecord_filename '{name}' is not of the form label/name.tfrecord")
    return name


def _unique(rows: Iterator[tuple[_Named, _Row]]) -> list[tuple[_Named, _Row]]:
    first: dict[str, int] = {}
    kept = []
    for video, row in rows:
        line = first.setdefault(video.tfrecord_filename, row.line)
        if line != row.line:
            raise row.error(
                f"{video.tfrecord_filename} stands in row {line} already: keep one of the two"
            )
        kept.append((video, row))
    return kept
