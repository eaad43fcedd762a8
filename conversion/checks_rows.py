"""Check an embedding config's rows against the ratings: the right videos, splits and order."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from conversion.checks import Check, judged
from conversion.package.manifest import MISSING, Manifest

KEY = "tfrecord_filename"
"""The column that names a video; the others are compared."""

_VIDEO = ("filename", "MIT_label", "video_location")
_COUNTS = ("r1", "r2", "r3")


def row_checks(
    folder: Path,
    manifest: Manifest,
    splits: Mapping[str, pa.Table],
    names: Sequence[str],
    ratings: pa.Table | None,
    test_set: pa.Table | None,
) -> list[Check]:
    """Check the rows of an embedding config.

    `splits` are its columns other than the embeddings, `names` those of its label, `ratings` and
    `test_set` the tables of those configs, None where the package has them not.
    """
    config = manifest.config
    checks = [judged("unique", config, _twice(splits), "no video twice")]
    if test_set is None:
        checks.append(Check("splits", config, True, "no test_set in the package"))
    else:
        problems, counts = _wrong_split(splits, test_set)
        checks.append(judged("splits", config, problems, counts))
    if ratings is None:
        return [*checks, Check("rows", config, True, "no ratings in the package")]
    different = [
        p for split, rows in splits.items() for p in _different(split, rows, ratings, names)
    ]
    order = [p for split, rows in splits.items() for p in _disorder(split, rows, ratings)]
    count = sum(len(rows) for rows in splits.values())
    return [
        *checks,
        judged("rows", config, different, f"{count:,} equal to those of ratings"),
        judged("order", config, order, "that of ratings"),
        _complete(folder, manifest, splits, ratings),
    ]


def compare_videos(rows: pa.Table, ratings: pa.Table, columns: Sequence[str]) -> list[str]:
    """Say which rows are of no rated video, or differ from its row in one of `columns`."""
    found = ratings.take(_positions(rows, ratings))
    problems = {row: f"row {row}, {name}, is not in ratings" for row, name in _unrated(rows, found)}
    for column in columns:
        _note_different(problems, rows, column, rows[column], found[column])
    return [problems[row] for row in sorted(problems)]


def _different(split: str, rows: pa.Table, ratings: pa.Table, names: Sequence[str]) -> list[str]:
    """Compare as `compare_videos` does, with `label` put into words."""
    labels = pc.index_in(rows["label"], value_set=pa.array(range(len(names)), pa.int64()))
    spoken = pa.array(names, pa.string()).take(labels.combine_chunks())
    rows = rows.append_column("AVMIT_label", pc.fill_null(spoken, "no label"))
    return [
        f"{split} {problem}"
        for problem in compare_videos(rows, ratings, (*_VIDEO, *_COUNTS, "AVMIT_label"))
    ]


def _note_different(
    problems: dict[int, str], rows: pa.Table, column: str, here: pa.Array, there: pa.Array
) -> None:
    for row in np.flatnonzero(pc.fill_null(pc.not_equal(here, there), False).to_numpy()).tolist():
        problems.setdefault(
            row,
            f"row {row}, {rows[KEY][row]}: {column} is {here[row]}, in ratings {there[row]}",
        )


def _unrated(rows: pa.Table, found: pa.Table) -> list[tuple[int, str]]:
    unknown = np.flatnonzero(pc.is_null(found[KEY]).to_numpy()).tolist()
    return [(row, rows[KEY][row].as_py()) for row in unknown]


def _positions(rows: pa.Table, ratings: pa.Table) -> pa.ChunkedArray:
    """Return each row's position in the ratings, null where its video is not rated."""
    return pc.index_in(rows[KEY], value_set=ratings[KEY].combine_chunks())


def _twice(splits: Mapping[str, pa.Table]) -> list[str]:
    counted = pc.value_counts(pa.concat_tables(rows.select([KEY]) for rows in splits.values())[KEY])
    repeated = counted.filter(pc.greater(counted.field("counts"), 1))
    names = repeated.field("values").to_pylist()
    places = {name: [split for split, rows in splits.items() if _has(rows, name)] for name in names}
    return [
        f"{name} is in {' and '.join(places[name])}" + (" twice" if len(places[name]) == 1 else "")
        for name in names
    ]


def _has(rows: pa.Table, name: str) -> bool:
    found: bool = pc.index(rows[KEY], name).as_py() >= 0
    return found


def _wrong_split(splits: Mapping[str, pa.Table], test_set: pa.Table) -> tuple[list[str], str]:
    problems: list[str] = []
    counts = []
    for split, rows in splits.items():
        in_test = pc.is_in(rows[KEY], value_set=test_set[KEY].combine_chunks())
        wrong = rows[KEY].filter(pc.invert(in_test) if split == "test" else in_test).to_pylist()
        is_ = "is not" if split == "test" else "is"
        problems += [f"{name} of {split} {is_} in test_set" for name in wrong]
        counts.append(f"{split} {len(rows):,}")
    return problems, ", ".join(counts)


def _disorder(split: str, rows: pa.Table, ratings: pa.Table) -> list[str]:
    positions: npt.NDArray[np.int64] = _positions(rows, ratings).drop_null().to_numpy()
    names = rows[KEY].filter(pc.is_valid(_positions(rows, ratings)))
    back = np.flatnonzero(np.diff(positions) < 0)
    return [
        f"{names[index + 1]} of {split} stands after {names[index]}, in ratings before it"
        for index in back.tolist()
    ]


def _complete(
    folder: Path, manifest: Manifest, splits: Mapping[str, pa.Table], ratings: pa.Table
) -> Check:
    """Check that every rated video has a row or stands, once, in one of the two lists."""
    rows = {name for table in splits.values() for name in table[KEY].to_pylist()}
    problems: list[str] = []
    absent: set[str] = set()
    for file, noted in (
        (MISSING, manifest.missing_records),
        (manifest.bad_list, manifest.bad_records),
    ):
        try:
            listed = _listed(folder / file)
        except (OSError, ValueError, csv.Error, IndexError) as error:
            problems.append(f"{file} cannot be read ({error})")
            continue
        if len(listed) != noted:
            problems.append(f"{file} names {len(listed):,} videos, the manifest {noted:,}")
        problems += [f"{name} has a row and stands in {file}" for name in listed if name in rows]
        problems += [f"{name} is listed twice" for name in listed if name in absent]
        absent.update(listed)
    rated = ratings[KEY].to_pylist()
    lost = [name for name in rated if name not in rows and name not in absent]
    problems += [
        f"{name} has no row and is not in {MISSING} or {manifest.bad_list}" for name in lost
    ]
    problems += [f"{name} is listed and not rated" for name in sorted(absent - set(rated))]
    found = f"{len(rows):,} rows, {len(absent):,} listed without, of {len(rated):,} rated videos"
    return judged("complete", manifest.config, problems, found)


def _listed(file: Path) -> list[str]:
    """Return the first column of a list of records; none if there is no such list."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return [row[0] for row in csv.reader(lines)][1:]
