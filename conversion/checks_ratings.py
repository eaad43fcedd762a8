"""Check the ratings and the test set, among themselves and against the paper."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avmit import RATED_VIDEOS
from conversion.checks import Check, judged
from conversion.checks_rows import KEY, compare_videos

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
