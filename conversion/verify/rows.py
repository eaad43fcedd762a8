"""Check an embedding config's rows against the ratings: the right videos, splits and order."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from avmit import RATED_VIDEOS
from conversion.package.manifest import KEY, MISSING, Manifest
from conversion.verify.check import Check, judged

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


# The full release, arXiv 2308.09685.
TEST_VIDEOS = 960
TEST_CLASSES = 16
TEST_VIDEOS_PER_CLASS = 60

_VALUES = (1, 2, 3)


def ratings_checks(tables: Mapping[str, pa.Table]) -> list[Check]:
    """Check the tables of the ratings configs that the package has, by config."""
    ratings, test_set = tables.get("ratings"), tables.get("test_set")
    raw = tables.get("raw_ratings")
    checks = []
    if ratings is not None:
        checks += [_unique("ratings", ratings), _sums(ratings)]
    if test_set is not None:
        checks.append(_unique("test_set", test_set))
        if ratings is not None:
            columns = ("filename", "AVMIT_label", "MIT_label", "video_location")
            different = compare_videos(test_set, ratings, columns)
            equal = f"{len(test_set):,} equal to those of ratings"
            checks.append(judged("rows", "test_set", different, equal))
    if raw is not None:
        checks.append(_raw_values(raw))
        if ratings is not None:
            checks.append(_raw_counts(raw, ratings))
    return [*checks, *_paper(ratings, test_set)]


def _unique(config: str, rows: pa.Table) -> Check:
    counted = pc.value_counts(rows[KEY])
    repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values").to_pylist()
    problems = [f"{name} stands twice" for name in repeated]
    return judged("unique", config, problems, "no video twice")


def _sums(ratings: pa.Table) -> Check:
    sums = sum(ratings[column].to_numpy() for column in ("r1", "r2", "r3"))
    negative = np.logical_or.reduce([ratings[c].to_numpy() < 0 for c in ("r1", "r2", "r3")])
    few = np.flatnonzero((sums < 3) | negative).tolist()
    problems = [f"row {row}, {ratings[KEY][row]}: {sums[row]}, and 3 is the least" for row in few]
    spread = f"{sums.min()} to {sums.max()}" if len(ratings) else "none"
    return judged("rating sums", "ratings", problems, spread)


def _raw_values(raw: pa.Table) -> Check:
    values = raw["rating"].to_numpy()
    wrong = np.flatnonzero(~np.isin(values, _VALUES)).tolist()
    problems = [f"row {row}: {values[row]}, not 1, 2 or 3" for row in wrong]
    return judged("rating values", "raw_ratings", problems, f"{len(raw):,} of 1, 2 or 3")


def _raw_counts(raw: pa.Table, ratings: pa.Table) -> Check:
    """Count the videos whose single ratings add up to r1, r2 and r3; a finding, not a rule.

    The release does not promise it, and its raw ratings name videos by file and label alone.
    """
    video = pc.index_in(_file_and_label(raw), value_set=_file_and_label(ratings).combine_chunks())
    known = pc.is_valid(video).to_numpy()
    positions = video.drop_null().to_numpy()
    values = raw["rating"].to_numpy()[known]
    equal = np.ones(len(ratings), bool)
    for value in _VALUES:
        counted = np.bincount(positions[values == value], minlength=len(ratings))
        equal &= counted == ratings[f"r{value}"].to_numpy()
    found = f"add up to r1, r2, r3 for {equal.sum():,} of {len(ratings):,} rated videos"
    if not known.all():
        found += f"; {np.count_nonzero(~known):,} are of no rated video"
    return Check("raw ratings", "raw_ratings", True, found)


def _file_and_label(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(rows["filename"], rows["AVMIT_label"], "\n")


def _paper(ratings: pa.Table | None, test_set: pa.Table | None) -> list[Check]:
    if ratings is None:
        return [Check("release", ".", True, "no ratings in the package")]
    if len(ratings) != RATED_VIDEOS:
        names = pc.count_distinct(ratings["AVMIT_label"]).as_py()
        found = (
            f"not the full release ({len(ratings):,} of {RATED_VIDEOS:,} rated videos): label "
            f"numbers are of {names:,} names"
        )
        return [Check("release", ".", True, found)]
    checks = [Check("release", ".", True, f"full: {RATED_VIDEOS:,} rated videos")]
    if test_set is None:
        return [*checks, Check("test videos", ".", True, "no test_set in the package")]
    sizes = pc.value_counts(test_set["AVMIT_label"]).field("counts").to_pylist()
    classes = f"{len(sizes)} classes of {min(sizes, default=0)} to {max(sizes, default=0)}"
    return [
        *checks,
        Check("test videos", ".", len(test_set) == TEST_VIDEOS, f"{len(test_set):,}"),
        Check("test classes", ".", sizes == [TEST_VIDEOS_PER_CLASS] * TEST_CLASSES, classes),
    ]
