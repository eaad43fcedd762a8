"""`avmit compare`: how far two configs' embeddings of the same videos are apart."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from extraction.compare.sides import Side, find_sides, in_packages, pairs
from extraction.compare.similarity import Similarity, similarity

WORST = 10
"""How many of the worst videos are kept."""

Progress = Callable[[int, int], None]
"""Told of (rows read since the last call, rows to be read in all)."""


@dataclass(frozen=True)
class VideoDifference:
    """One video's embeddings in one column; the worst timestep's relative difference and cosine,
    the worst value's absolute difference, and the timesteps in A and B. `name` is its record's, or
    the video's own where it is of a list.
    """

    name: str
    column: str
    absolute: float
    relative: float
    cosine: float
    steps: tuple[int, int]


@dataclass
class ColumnDifference:
    """All videos' embeddings in one column.

    Absolute differences are of single values; relative ones of a timestep's vectors, |a - b| over
    the larger of |a| and |b|: from 0 to 2, 0 where both are zero. The cosine similarity is of a
    timestep's vectors too, 1 where both are zero. `mismatches` counts videos whose numbers of
    timesteps differ; of those, the timesteps that both have are compared.
    """

    videos: int = 0
    mismatches: int = 0
    steps: int = 0
    values: int = 0
    worst_absolute: float = 0.0
    sum_absolute: float = 0.0
    worst_relative: float = 0.0
    sum_relative: float = 0.0
    worst_cosine: float = 1.0
    sum_cosine: float = 0.0

    @property
    def mean_absolute(self) -> float:
        """The mean over all values."""
        return self.sum_absolute / max(1, self.values)

    @property
    def mean_relative(self) -> float:
        """The mean over all timesteps."""
        return self.sum_relative / max(1, self.steps)

    @property
    def mean_cosine(self) -> float:
        """The mean over all timesteps."""
        return self.sum_cosine / max(1, self.steps)

    def add(
        self, name: str, column: str, a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]
    ) -> VideoDifference:
        """Take in a video's embeddings, (T, D) each, and return how far they are apart."""
        steps = min(len(a), len(b))
        absolute, relative, cosine = differences(a[:steps], b[:steps])
        one = VideoDifference(
            name,
            column,
            float(absolute.max(initial=0.0)),
            float(relative.max(initial=0.0)),
            float(cosine.min(initial=1.0)),
            (len(a), len(b)),
        )
        self.videos += 1
        self.mismatches += len(a) != len(b)
        self.steps += steps
        self.values += absolute.size
        self.worst_absolute = max(self.worst_absolute, one.absolute)
        self.sum_absolute += float(absolute.sum())
        self.worst_relative = max(self.worst_relative, one.relative)
        self.sum_relative += float(relative.sum())
        self.worst_cosine = min(self.worst_cosine, one.cosine)
        self.sum_cosine += float(cosine.sum())
        return one


@dataclass
class Comparison:
    """What two configs have in common: `columns` compares values, where the widths are the same,
    and `similarities` what the videos are like to each other, of any widths. `only_a` and `only_b`
    count videos that one alone has, and `skipped` says of a column why its values are not compared.
    """

    columns: dict[str, ColumnDifference] = field(default_factory=dict)
    similarities: dict[str, Similarity] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    only_a: int = 0
    only_b: int = 0
    worst: list[VideoDifference] = field(default_factory=list)


def compare(
    package: Path,
    config_a: str,
    config_b: str,
    progress: Progress = lambda done, total: None,
    seed: int = 0,
) -> Comparison:
    """Compare the embeddings of the videos that two configs both have.

    Args:
        package: the folder of a package.
        config_a: a config of it, or the folder of a config of another package.
        config_b: as `config_a`.
        progress: told of rows.
        seed: of the samples and intervals of the similarities.

    Raises:
        AvmitError: a config is not there or has no embeddings, they have no video or no column in
            common, or a shard is not one of its config.
    """
    a, b = find_sides(package, config_a, config_b)
    result = Comparison()
    both = []
    for column in ("audio", "visual"):
        widths = a.dims.get(column), b.dims.get(column)
        if None in widths:
            result.skipped[column] = f"{config_b if widths[1] is None else config_a} has none"
            continue
        both.append(column)
        if widths[0] != widths[1]:
            result.skipped[column] = f"{widths[0]} and {widths[1]} values wide"
        else:
            result.columns[column] = ColumnDifference()
    if not both:
        why = "; ".join(f"{column}: {reason}" for column, reason in result.skipped.items())
        raise AvmitError(
            f"{config_a} and {config_b} have no column to compare ({why}): "
            "name two configs that have audio, or visual"
        )
    names_a, names_b = a.names(), b.names()
    there = set(names_b)
    common = {name: place for place, name in enumerate(n for n in names_a if n in there)}
    result.only_a, result.only_b = len(set(names_a)) - len(common), len(there) - len(common)
    if not common:
        raise AvmitError(
            f"{in_packages(a, b)} have no video in common: name two configs of the same videos"
        )
    total = len(both) * (len(names_a) + len(names_b))
    total += len(common) if result.columns else 0
    progress(0, total)
    if result.columns:
        for name, row_a, row_b in pairs(a, b, common, list(result.columns)):
            for column, sums in result.columns.items():
                result.worst.append(sums.add(name, column, row_a[column], row_b[column]))
            result.worst = sorted(result.worst, key=_badness)[:WORST]
            progress(1, total)
    labels = a.labels(common)
    for column in both:
        means = [_means(side, column, common, progress, total) for side in (a, b)]
        result.similarities[column] = similarity(means[0], means[1], labels, seed)
        del means  # before those of the next one are made
    return result


def _means(
    side: Side, column: str, common: dict[str, int], progress: Progress, total: int
) -> npt.NDArray[np.float32]:
    return side.means(column, common, lambda done: progress(done, total))


def differences(
    a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Compare two (T, D): absolute differences (T, D), relative (T,), cosine similarity (T,).

    What is not finite counts as infinitely far apart.
    """
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(wide_a) & np.isfinite(wide_b)
    with np.errstate(invalid="ignore"):
        absolute = np.where(finite, np.abs(wide_a - wide_b), np.inf)
    whole = finite.all(1)
    norm_a, norm_b = np.linalg.norm(wide_a, axis=1), np.linalg.norm(wide_b, axis=1)
    larger = np.maximum(norm_a, norm_b)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.linalg.norm(absolute, axis=1) / larger
        cosine = (wide_a * wide_b).sum(1) / (norm_a * norm_b)
    zero = larger == 0
    relative = np.where(zero, 0.0, np.where(whole, relative, np.inf))
    one_zero = (norm_a == 0) | (norm_b == 0)
    cosine = np.where(zero, 1.0, np.where(whole & ~one_zero, np.clip(cosine, -1.0, 1.0), 0.0))
    return absolute, relative, cosine


def _badness(one: VideoDifference) -> tuple[bool, float, str, str]:
    """Order videos, the worst first: other numbers of timesteps, then relative differences."""
    return one.steps[0] == one.steps[1], -one.relative, one.name, one.column
