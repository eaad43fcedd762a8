"""The three annotation files of a release and the rules that their rows keep."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from avmit import AvmitError, Split, ratings_features
from conversion.release.csv_table import CsvTable, Rule, read_csv_table
from conversion.release.visible_files import visible_files
from conversion.whole import read_regular

FILES = {
    "raw_ratings": "raw_video_ratings.csv",
    "ratings": "video_ratings.csv",
    "test_set": "test_set.csv",
}

_KEY = "tfrecord_filename"
_REPEATED = ("AVMIT_label", "MIT_label", "video_location")
_COUNTS = ["r1", "r2", "r3"]
# The bound of the counts is one that no number of raters reaches, so that a mangled row is seen.
_WHOLE_NUMBERS = {"rating": range(1, 4)} | dict.fromkeys(_COUNTS, range(1000))
# The authors' README says three; the released rows have up to seven, and those are data.
_FEWEST_RATINGS = 3
_PART = r"(?:[^/.]|\.[^/.]|\.\.[^/])[^/]*"
_RECORD_NAME = f"{_PART}/{_PART}"
"""Two names, of which neither is `.` or `..`."""
_MOST_BYTES = 256_000_000
"""Ten times the largest file of the release, and what every machine can hold."""

_Row = TypeVar("_Row", "Video", "TestVideo")


class RawRating(NamedTuple):
    """One person's rating (1, 2 or 3) of one video."""

    filename: str
    AVMIT_label: str
    MIT_label: str
    video_location: str
    rating: int


class Video(NamedTuple):
    """A rated video; r1, r2 and r3 count the ratings of that value, three or more together."""

    filename: str
    r1: int
    r2: int
    r3: int
    AVMIT_label: str
    MIT_label: str
    video_location: str
    tfrecord_filename: str


class TestVideo(NamedTuple):
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
    raw_ratings = _read(files["raw_ratings"], RawRating._fields)
    ratings = _read(files["ratings"], Video._fields)
    test_set = _read(files["test_set"], TestVideo._fields)
    _check_against(ratings.rows, test_set)
    if ratings.rows.empty:
        raise AvmitError(f"{ratings.file} has no rows: take it from the release again")
    schema = ratings_features("raw_ratings").arrow_schema.remove_metadata()
    table = pa.Table.from_pandas(raw_ratings.rows, schema, preserve_index=False)
    return Annotations(
        # Without what pandas notes in the schema; batches then are cut by number of rows alone.
        table.cast(schema).combine_chunks(),
        _tuples(Video, ratings.rows),
        _tuples(TestVideo, test_set.rows),
    )


def _content(file: Path) -> bytes:
    try:
        return read_regular(file, _MOST_BYTES)
    except OSError as error:
        what = f"{file} cannot be read ({error.strerror})" if error.strerror else str(error)
        raise AvmitError(f"{what}: take it from the release again") from None


def _read(file: Path, columns: tuple[str, ...]) -> CsvTable:
    """Read one file, whose rows keep the rules that can be checked without the others."""
    table = read_csv_table(file, _content(file), columns)
    numbers = {
        column: _whole_numbers(table.rows[column], allowed)
        for column, allowed in _WHOLE_NUMBERS.items()
        if column in columns
    }
    rules = [
        _in_range(column, numbers[column]) if column in numbers else _not_empty(table.rows, column)
        for column in columns
    ]
    if _KEY in columns:
        rules.append(_record_names(table.rows))
    if set(_COUNTS) <= numbers.keys():
        rules.append(_rated_enough(numbers))
    if _KEY in columns:
        rules.append(_once(table.rows))
    table.check(rules)
    return replace(table, rows=table.rows.assign(**numbers))


def _whole_numbers(texts: pd.Series, allowed: range) -> npt.NDArray[np.int64]:
    """Return the numbers that texts are, -1 for what is not one of `allowed`."""
    codes, different = pd.factorize(texts)
    values = [int(text) if _is_whole(text, allowed) else -1 for text in different]
    numbers: npt.NDArray[np.int64] = np.array(values, np.int64)[codes]
    return numbers


def _is_whole(text: str, allowed: range) -> bool:
    # The length first: int() refuses thousands of digits in a way of its own.
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) in allowed


def _in_range(column: str, numbers: npt.NDArray[np.int64]) -> Rule:
    allowed = _WHOLE_NUMBERS[column]
    return (
        numbers < 0,
        lambda row: (
            f"{column} is '{row[column]}', not a whole number from {allowed[0]} to {allowed[-1]}: "
            "take the file from the release again"
        ),
    )


def _not_empty(rows: pd.DataFrame, column: str) -> Rule:
    wrong = (rows[column] == "").to_numpy(bool)
    return wrong, lambda row: f"{column} is empty: take the file from the release again"


def _record_names(rows: pd.DataFrame) -> Rule:
    wrong = ~rows[_KEY].str.fullmatch(_RECORD_NAME).to_numpy(bool)
    return wrong, lambda row: f"{_KEY} '{row[_KEY]}' is not of the form label/name.tfrecord"


def _rated_enough(numbers: Mapping[str, npt.NDArray[np.int64]]) -> Rule:
    sums = sum((numbers[column] for column in _COUNTS), np.zeros(1, np.int64))
    return (
        sums < _FEWEST_RATINGS,
        lambda row: (
            f"r1 + r2 + r3 is {row[_COUNTS].astype(int).sum()}, "
            "and every video was rated three times or more: take the file from the release again"
        ),
    )


def _once(rows: pd.DataFrame) -> Rule:
    def message(row: pd.Series) -> str:
        first = rows.index[rows[_KEY] == row[_KEY]][0]
        return f"{row[_KEY]} stands in row {first} already: keep one of the two"

    return rows[_KEY].duplicated().to_numpy(), message


def _check_against(ratings: pd.DataFrame, test_set: CsvTable) -> None:
    """Check that all videos of the test set are rated ones, and are said to be the same."""
    rated = test_set.rows[[_KEY]].merge(ratings, "left", on=_KEY, indicator=True)
    rated.index = test_set.rows.index
    advice = "take both files from one release"
    rules: list[Rule] = [
        (
            (rated["_merge"] == "left_only").to_numpy(),
            lambda row: f"{row[_KEY]} is not in {FILES['ratings']}: {advice}",
        )
    ]
    for column in ("filename", "AVMIT_label", "MIT_label", "video_location"):
        rules.append(_same(column, test_set.rows, rated, advice))
    test_set.check(rules)


def _same(column: str, rows: pd.DataFrame, rated: pd.DataFrame, advice: str) -> Rule:
    return (
        (rows[column] != rated[column]).to_numpy(bool),
        lambda row: (
            f"{column} is '{row[column]}', but '{rated[column][row.name]}' in {FILES['ratings']}: "
            f"{advice}"
        ),
    )


def _tuples(kind: type[_Row], rows: pd.DataFrame) -> list[_Row]:
    columns = (_shared(rows[name]) if name in _REPEATED else rows[name].tolist() for name in rows)
    return list(map(kind._make, zip(*columns, strict=True)))


def _shared(column: pd.Series) -> list[str]:
    """Return a column's texts, each of which is there once however many rows have it."""
    codes, different = pd.factorize(column)
    texts = different.tolist()
    return [texts[code] for code in codes]
