"""The two configs that are compared: which they are, and their rows."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.package.manifest import LISTED_KEY, Manifest, read_package
from conversion.package.reader import matrices, read_rows, read_schema
from conversion.package.schema import check_schemas

Advance = Callable[[int], None]
"""Told how many rows were read since the last call."""

Row = dict[str, npt.NDArray[np.float32]]
Ragged = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Of a record batch: offsets (rows + 1,) and values (all timesteps, D)."""


@dataclass(frozen=True)
class Side:
    """A config of a package, what the user calls it, and the column that names its videos."""

    package: Path
    manifest: Manifest
    said: str
    key: str

    @property
    def dims(self) -> dict[str, int]:
        """The widths of its embeddings by column."""
        return self.manifest.dims

    @property
    def _paths(self) -> list[Path]:
        folder = self.package / self.manifest.config
        return [folder / shard.file for shard in self.manifest.shards]

    def read(self, columns: Sequence[str]) -> Iterator[tuple[list[str], dict[str, Ragged]]]:
        """Yield each record batch: the rows' names, and their offsets and values by column.

        Raises:
            AvmitError: a shard cannot be read.
        """
        for path in self._paths:
            for batch in read_rows(path, [self.key, *columns]):
                found = {column: matrices(batch.column(column)) for column in columns}
                yield batch.column(self.key).to_pylist(), found

    def names(self) -> list[str]:
        """Return the names of its rows, in order."""
        return [name for names, _ in self.read([]) for name in names]

    def labels(self, places: Mapping[str, int]) -> npt.NDArray[np.int64]:
        """Return the label numbers of the rows that have a place, there.

        Without labels each row is a class of its own.
        """
        if "label" not in read_schema(self._paths[0]).names:
            return np.arange(len(places))
        out = np.full(len(places), -1, np.int64)
        for path in self._paths:
            for batch in read_rows(path, [self.key, "label"]):
                for name, label in zip(*(c.to_pylist() for c in batch.columns), strict=True):
                    if name in places:
                        out[places[name]] = label
        return out

    def means(
        self, column: str, places: Mapping[str, int], advance: Advance
    ) -> npt.NDArray[np.float32]:
        """Return the means over timesteps, (N, D), of the rows that have a place, there.

        Rows without timesteps are NaN.
        """
        out = np.full((len(places), self.dims[column]), np.nan, np.float32)
        for names, found in self.read([column]):
            offsets, values = found[column]
            bounds = offsets.tolist()
            for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True):
                place = places.get(name)
                if place is not None and end > start:
                    with np.errstate(over="ignore", invalid="ignore"):
                        np.add.reduce(values[start:end], axis=0, out=out[place])
                        out[place] /= end - start
            advance(len(names))
        return out


def find_sides(package: Path, *named: str) -> tuple[Side, ...]:
    """Return the configs that are named: of `package`, or by their folders of other packages.

    A config of rated videos and one of a list go together by what the videos' files are called.

    Raises:
        AvmitError: one is not there, has no embeddings, or schemas other than its manifest's.
    """
    found = [_find(package, one) for one in named]
    keys = {manifest.key for _, manifest in found}
    key = keys.pop() if len(keys) == 1 else LISTED_KEY
    return tuple(Side(*one, said, key) for one, said in zip(found, named, strict=True))


def in_packages(a: Side, b: Side) -> str:
    """Say where two configs are, as `a and b in avmit`, or `a in avmit and b in other`."""
    if a.package == b.package:
        return f"{a.manifest.config} and {b.manifest.config} in {a.package}"
    return " and ".join(f"{side.manifest.config} in {side.package}" for side in (a, b))


def _find(package: Path, named: str) -> tuple[Path, Manifest]:
    config = named
    if "/" in named:
        folder = Path(named)
        package, config = folder.parent, folder.name
    manifests = read_package(package)
    manifest = manifests.get(config)
    if manifest is None or not manifest.dims:
        known = ", ".join(name for name, m in manifests.items() if m.dims) or "none"
        what = f"no config '{config}'" if manifest is None else f"no embeddings in '{config}'"
        raise AvmitError(f"{what} in {package}; configs with embeddings: {known}")
    check_schemas(package / config, manifest)
    return package, manifest


def pairs(
    a: Side, b: Side, common: Mapping[str, int], columns: Sequence[str]
) -> Iterator[tuple[str, Row, Row]]:
    """Yield each common video with its rows, reading both configs once, side by side.

    Both are in the order of the annotations; rows are held back only where their orders differ.
    """
    held: tuple[dict[str, Row], dict[str, Row]] = ({}, {})
    both = itertools.zip_longest(*(_rows(side, common, columns) for side in (a, b)))
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
    side: Side, common: Mapping[str, int], columns: Sequence[str]
) -> Iterator[tuple[str, Row]]:
    for names, found in side.read(columns):
        for index, name in enumerate(names):
            if name in common:
                yield (
                    name,
                    {
                        column: values[offsets[index] : offsets[index + 1]]
                        for column, (offsets, values) in found.items()
                    },
                )
