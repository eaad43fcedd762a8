"""`avmit compare`: how far two configs' embeddings of the same videos are apart."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.package.manifest import KEY, Manifest, read_package
from conversion.package.reader import matrices, read_rows
from conversion.package.schema import check_schemas

WORST = 10
"""How many of the worst videos are kept."""

Progress = Callable[[int, int], None]
"""Told of (videos compared since the last call, videos in all)."""

_Row = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class VideoDifference:
    """One video's embeddings in one column; the worst timestep's relative difference and cosine,
    the worst value's absolute difference, and the timesteps in A and B. `name` is its record's.
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
    """What two configs have in common; `only_a` and `only_b` count videos that one alone has, and
    `skipped` says of a column why it is not compared.
    """

    columns: dict[str, ColumnDifference] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    only_a: int = 0
    only_b: int = 0
    worst: list[VideoDifference] = field(default_factory=list)


def compare(
    package: Path,
    config_a: str,
    config_b: str,
    progress: Progress = lambda done, total: None,
) -> Comparison:
    """Compare the embeddings of the videos that two configs of a package both have.

    Raises:
        AvmitError: a config is not there or has no embeddings, they have no video in common, no
            column of the same width, or a shard is not one of its config.
    """
    manifests = read_package(package)
    a, b = (_manifest(package, manifests, name) for name in (config_a, config_b))
    result = Comparison()
    for column in ("audio", "visual"):
        widths = a.dims.get(column), b.dims.get(column)
        if None in widths:
            result.skipped[column] = f"{config_b if widths[1] is None else config_a} has none"
        elif widths[0] != widths[1]:
            result.skipped[column] = f"{widths[0]} and {widths[1]} values wide"
        else:
            result.columns[column] = ColumnDifference()
    if not result.columns:
        why = "; ".join(f"{column}: {reason}" for column, reason in result.skipped.items())
        raise AvmitError(
            f"{config_a} and {config_b} have no column to compare ({why}): "
            "name two configs of the same encoders' widths"
        )
    for manifest in (a, b):
        check_schemas(package / manifest.config, manifest)
    names_a, names_b = _names(package, a), _names(package, b)
    common = names_a & names_b
    result.only_a, result.only_b = len(names_a - common), len(names_b - common)
    if not common:
        raise AvmitError(f"{config_a} and {config_b} in {package} have no video in common")
    progress(0, len(common))
    for name, row_a, row_b in _pairs(package, a, b, common, list(result.columns)):
        for column, total in result.columns.items():
            result.worst.append(total.add(name, column, row_a[column], row_b[column]))
        result.worst = sorted(result.worst, key=_badness)[:WORST]
        progress(1, len(common))
    return result


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


def _manifest(package: Path, manifests: dict[str, Manifest], config: str) -> Manifest:
    manifest = manifests.get(config)
    if manifest is None or not manifest.dims:
        known = ", ".join(name for name, m in manifests.items() if m.dims) or "none"
        what = f"no config '{config}'" if manifest is None else f"no embeddings in '{config}'"
        raise AvmitError(f"{what} in {package}; configs with embeddings: {known}")
    return manifest


def _shards(package: Path, manifest: Manifest) -> Iterator[Path]:
    yield from (package / manifest.config / shard.file for shard in manifest.shards)


def _names(package: Path, manifest: Manifest) -> set[str]:
    return {
        name
        for path in _shards(package, manifest)
        for batch in read_rows(path, [KEY])
        for name in batch.column(0).to_pylist()
    }


def _pairs(
    package: Path, a: Manifest, b: Manifest, common: set[str], columns: Sequence[str]
) -> Iterator[tuple[str, _Row, _Row]]:
    """Yield each common video with its rows, reading both configs once, side by side.

    Both are in the order of the annotations; rows are held back only where their orders differ.
    """
    held: tuple[dict[str, _Row], dict[str, _Row]] = ({}, {})
    both = itertools.zip_longest(*(_rows(package, m, common, columns) for m in (a, b)))
    for pair in both:
        for here, item in enumerate(pair):
            if item is None:
                continue
            name, row = item
            match = held[1 - here].pop(name, None)
            if match is None:
                held[here][name] = row
            else:
                yield name, *((match, row) if here else (row, match))


def _rows(
    package: Path, manifest: Manifest, common: set[str], columns: Sequence[str]
) -> Iterator[tuple[str, _Row]]:
    for path in _shards(package, manifest):
        for batch in read_rows(path, [KEY, *columns]):
            found = {column: matrices(batch.column(column)) for column in columns}
            for index, name in enumerate(batch.column(KEY).to_pylist()):
                if name in common:
                    yield (
                        name,
                        {
                            column: values[offsets[index] : offsets[index + 1]]
                            for column, (offsets, values) in found.items()
                        },
                    )
