"""Check rows: an embedding config's against the ratings, and those against the paper."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from avmit import RATED_VIDEOS, TEST_CLASSES
from conversion.package.manifest import KEY, MISSING, Manifest
from conversion.verify.check import Check, judged

_VIDEO = ("filename", "MIT_label", "video_location")
_COUNTS = ("r1", "r2", "r3")
_VALUES = (1, 2, 3)

# The full release, arXiv 2308.09685.
TEST_VIDEOS = 960
TEST_VIDEOS_PER_CLASS = 60


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
    `test_set` the tables of those configs, None where they are not in the package.
    """
    config = manifest.config
    rows = rows_of(splits)
    again = rows[KEY].duplicated()
    checks = [judged("unique", config, twice(rows, KEY), "no video twice")]
    if test_set is None:
        checks.append(Check("splits", config, True, "no test_set in the package"))
    else:
        counts = ", ".join(f"{split} {len(table):,}" for split, table in splits.items())
        checks.append(judged("splits", config, _wrong_split(rows, _frame(test_set)), counts))
    if ratings is None:
        return [*checks, Check("rows", config, True, "no ratings in the package")]
    rated = _frame(ratings)
    rows["AVMIT_label"] = _spoken(rows["label"], names)
    places = _places(rows, rated)
    different = _different(rows, rated, places, [*_VIDEO, *_COUNTS, "AVMIT_label"])
    return [
        *checks,
        judged(
            "rows",
            config,
            [f"{rows['split'][row]} {problem}" for row, problem in different.items()],
            f"{len(rows):,} equal to those of ratings",
        ),
        judged("order", config, _disorder(rows, places), "that of ratings"),
        _complete(folder, manifest, rows[KEY][~again], rated[KEY].head(_tried(manifest, rated))),
    ]


def rows_of(splits: Mapping[str, pa.Table]) -> pd.DataFrame:
    """Return the rows of all splits, each with its `row` in its `split`."""
    return pd.concat(
        [_numbered(_frame(table)).assign(split=split) for split, table in splits.items()],
        ignore_index=True,
    )


def _tried(manifest: Manifest, rated: pd.DataFrame) -> int:
    """Count the rated videos that a config is of, which may be the first ones alone."""
    return int(manifest.videos.get("limit", len(rated)))


def ratings_checks(tables: Mapping[str, pa.Table]) -> list[Check]:
    """Check the tables of the ratings configs that the package has, by config."""
    frames = {config: _frame(table) for config, table in tables.items()}
    ratings, test_set = frames.get("ratings"), frames.get("test_set")
    raw = frames.get("raw_ratings")
    checks = []
    if ratings is not None:
        checks += [_unique("ratings", ratings), _sums(ratings)]
    if test_set is not None:
        checks.append(_unique("test_set", test_set))
        if ratings is not None:
            columns = ("filename", "AVMIT_label", "MIT_label", "video_location")
            places = _places(test_set, ratings)
            different = _different(_numbered(test_set), ratings, places, columns)
            equal = f"{len(test_set):,} equal to those of ratings"
            checks.append(judged("rows", "test_set", [*different.values()], equal))
    if raw is not None:
        checks.append(_raw_values(raw))
        if ratings is not None:
            checks.append(_raw_counts(raw, ratings))
    return [*checks, *_paper(ratings, test_set)]


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return a table for pandas, whose columns stay Arrow's: whole numbers beside nulls too."""
    return table.combine_chunks().to_pandas(types_mapper=pd.ArrowDtype)


def _numbered(rows: pd.DataFrame, column: str = "row") -> pd.DataFrame:
    return rows.assign(**{column: np.arange(len(rows))})


def _places(rows: pd.DataFrame, ratings: pd.DataFrame, on: Sequence[str] = (KEY,)) -> pd.Series:
    """Return the number of each row's video in ratings, of its first row there, or a null."""
    keys, rated = _numbered(rows[[*on]], "of"), _numbered(ratings[[*on]], "place")
    found = keys.merge(rated, "left", on=[*on])
    if len(found) > len(rows):
        found = found.drop_duplicates("of", ignore_index=True)
    return found["place"]


def _spoken(labels: pd.Series, names: Sequence[str]) -> pd.Series:
    words = pd.Series(names, dtype=pd.ArrowDtype(pa.string()))
    return words.reindex(labels.to_numpy()).fillna("no label").reset_index(drop=True)


def _different(
    rows: pd.DataFrame, ratings: pd.DataFrame, places: pd.Series, columns: Sequence[str]
) -> dict[int, str]:
    """Say which rows are of no rated video, or differ from its row in one of `columns`."""
    problems = {
        place: f"row {rows['row'][place]}, {rows[KEY][place]}, is not in ratings"
        for place in np.flatnonzero(places.isna()).tolist()
    }
    found = ratings.reindex(places).reset_index(drop=True)
    for column in columns:
        here, there = rows[column], found[column]
        differs = (here != there).to_numpy(bool, na_value=False)
        for place in np.flatnonzero(differs).tolist():
            what = f"{column} is {here[place]}, in ratings {there[place]}"
            problems.setdefault(place, f"row {rows['row'][place]}, {rows[KEY][place]}: {what}")
    return dict(sorted(problems.items()))


def twice(rows: pd.DataFrame, key: str) -> list[str]:
    """Say which videos, named in the column `key`, stand more than once in `rows_of` a config."""
    repeated = rows[rows[key].duplicated(keep=False)]
    places = repeated.groupby(key, sort=False)["split"].unique()
    return [
        f"{name} is in {' and '.join(splits)}" + (" twice" if len(splits) == 1 else "")
        for name, splits in places.items()
    ]


def _wrong_split(rows: pd.DataFrame, test_set: pd.DataFrame) -> list[str]:
    wrong = rows[rows[KEY].isin(test_set[KEY]) != (rows["split"] == "test")]
    return [
        f"{name} of {split} {'is not' if split == 'test' else 'is'} in test_set"
        for name, split in zip(wrong[KEY], wrong["split"], strict=True)
    ]


def _disorder(rows: pd.DataFrame, places: pd.Series) -> list[str]:
    rated = rows.assign(place=places)[places.notna()].astype({"place": np.int64})
    before = rated[KEY].shift()
    back = rated.groupby("split", sort=False)["place"].diff() < 0
    return [
        f"{name} of {split} stands after {other}, in ratings before it"
        for name, split, other in zip(
            rated[KEY][back], rated["split"][back], before[back], strict=True
        )
    ]


def _complete(folder: Path, manifest: Manifest, rows: pd.Series, rated: pd.Series) -> Check:
    """Check that every rated video is one of `rows` or stands, once, in one of the two lists."""
    problems, absent = without_row(folder, manifest, rows)
    lost = rated[~rated.isin(rows) & ~rated.isin([*absent])]
    problems += [
        f"{name} has no row and is not in {MISSING} or {manifest.bad_list}" for name in lost
    ]
    unrated = sorted(absent - set(rated[rated.isin([*absent])]))
    problems += [f"{name} is listed and not rated" for name in unrated]
    found = f"{len(rows):,} rows, {len(absent):,} listed without, of {len(rated):,} rated videos"
    return judged("complete", manifest.config, problems, found)


def without_row(folder: Path, manifest: Manifest, rows: pd.Series) -> tuple[list[str], set[str]]:
    """Return what is wrong with the lists of videos without a row, and the videos that they name.

    `rows` are the names of those with one.
    """
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
        here = set(rows[rows.isin(listed)])
        problems += [f"{name} has a row and stands in {file}" for name in listed if name in here]
        problems += [f"{name} is listed twice" for name in listed if name in absent]
        absent.update(listed)
    return problems, absent


def _listed(file: Path) -> list[str]:
    """Return the first column of a list of records; none if there is no such list."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return [row[0] for row in csv.reader(lines)][1:]


def _unique(config: str, rows: pd.DataFrame) -> Check:
    repeated = rows[KEY][rows[KEY].duplicated(keep=False)].unique()
    problems = [f"{name} stands twice" for name in repeated]
    return judged("unique", config, problems, "no video twice")


def _sums(ratings: pd.DataFrame) -> Check:
    counts = ratings[[*_COUNTS]].to_numpy(np.int64)
    sums = counts.sum(axis=1)
    few = np.flatnonzero((sums < 3) | (counts < 0).any(axis=1)).tolist()
    problems = [f"row {row}, {ratings[KEY][row]}: {sums[row]}, and 3 is the least" for row in few]
    spread = f"{sums.min()} to {sums.max()}" if len(ratings) else "none"
    return judged("rating sums", "ratings", problems, spread)


def _raw_values(raw: pd.DataFrame) -> Check:
    wrong = raw["rating"][~raw["rating"].isin(_VALUES)]
    problems = [f"row {row}: {value}, not 1, 2 or 3" for row, value in wrong.items()]
    return judged("rating values", "raw_ratings", problems, f"{len(raw):,} of 1, 2 or 3")


def _raw_counts(raw: pd.DataFrame, ratings: pd.DataFrame) -> Check:
    """Count the videos whose single ratings add up to r1, r2 and r3; a finding, not a rule.

    The release does not promise it, and its raw ratings name videos by file and label alone.
    """
    names = ["filename", "AVMIT_label"]
    places = _places(raw, ratings, names)
    equal = np.ones(len(ratings), bool)
    for value in _VALUES:
        counted = places[raw["rating"].to_numpy() == value].value_counts(sort=False)
        equal &= counted.reindex(ratings.index, fill_value=0) == ratings[f"r{value}"].to_numpy()
    found = f"add up to r1, r2, r3 for {equal.sum():,} of {len(ratings):,} rated videos"
    if places.hasnans:
        found += f"; {places.isna().sum():,} are of no rated video"
    return Check("raw ratings", "raw_ratings", True, found)


def _paper(ratings: pd.DataFrame | None, test_set: pd.DataFrame | None) -> list[Check]:
    if ratings is None:
        return [Check("release", ".", True, "no ratings in the package")]
    if len(ratings) != RATED_VIDEOS:
        found = (
            f"not the full release ({len(ratings):,} of {RATED_VIDEOS:,} rated videos): label "
            f"numbers are of {ratings['AVMIT_label'].nunique():,} names"
        )
        return [Check("release", ".", True, found)]
    checks = [Check("release", ".", True, f"full: {RATED_VIDEOS:,} rated videos")]
    if test_set is None:
        return [*checks, Check("test videos", ".", True, "no test_set in the package")]
    sizes = test_set["AVMIT_label"].value_counts().tolist()
    classes = f"{len(sizes)} classes of {min(sizes, default=0)} to {max(sizes, default=0)}"
    return [
        *checks,
        Check("test videos", ".", len(test_set) == TEST_VIDEOS, f"{len(test_set):,}"),
        Check("test classes", ".", sizes == [TEST_VIDEOS_PER_CLASS] * len(TEST_CLASSES), classes),
    ]
