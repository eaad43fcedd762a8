"""What the embeddings of a config are like: means over time, norms, dead dimensions, silence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.package.manifest import Manifest
from experiments.features import Features, features
from experiments.show.small import small_columns
from experiments.silent.finding import find_silent

Matrix = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
FAR = 1_000
"""Rows so many times as long as others hide all else in a picture; published ones differ by less
than 10."""


@dataclass(frozen=True)
class Embedded:
    """A config's rows, each embedding the mean over its timesteps; `splits` has one a row."""

    config: str
    features: Features
    splits: list[str]
    silent: list[str] | None
    """The filenames of the videos without sound; None where that is not known."""
    silence: str
    """How they were found, or why not."""

    @property
    def labels(self) -> list[str]:
        """The class of each row, empty for none."""
        return self.features.label_names or [""] * len(self.splits)

    def class_rdm(self, modality: str) -> npt.NDArray[np.float64]:
        """Return 1 minus Pearson's r between classes' means, from the rows that are not far off.

        NaN of a class without such rows.
        """
        labels = self.features.labels
        assert labels is not None
        near = ~far_off(self.features.matrix(modality))
        there = np.unique(labels[labels >= 0])
        found = np.full((len(there), len(there)), np.nan)
        kept = np.isin(there, labels[near])
        rows = replace(self.features, labels=np.where(near, labels, -1))
        found[np.ix_(kept, kept)] = rows.rdm(modality, "correlation", "class")
        return found


def read_embedded(package: Path, manifest: Manifest, progress: Progress) -> Embedded:
    """Read a config, once for the means and once more for what is silent.

    Raises:
        AvmitError: a shard cannot be read.
    """
    config = manifest.config
    found = features(config, data_dir=package, missing="skip", progress=progress)
    split_of: dict[str, str] = {}
    told: list[str] = []
    knows = False
    for split, table in small_columns(
        package / config, manifest, ["filename", "has_audio"]
    ).items():
        names = table.column("filename").to_pylist()
        split_of |= dict.fromkeys(names, split)
        if "has_audio" in table.column_names:
            knows = True
            heard = table.column("has_audio").to_pylist()
            told += [name for name, one in zip(names, heard, strict=True) if not one]
    splits = [split_of[name] for name in found.ids]
    if knows:
        return Embedded(config, found, splits, told, "has_audio")
    if "audio" not in manifest.dims:
        return Embedded(config, found, splits, None, "there is no audio")
    try:
        silent = find_silent(package, config)
    except AvmitError as error:
        return Embedded(config, found, splits, None, str(error).split(":")[0])
    return Embedded(config, found, splits, silent.filenames, silent.how)


def norms(matrix: Matrix) -> npt.NDArray[np.float64]:
    """Return the Euclidean norm of each row; squares of the largest float32 are no infinities."""
    squares: npt.NDArray[np.float64] = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    return np.sqrt(squares)


def far_off(matrix: Matrix) -> npt.NDArray[np.bool_]:
    """Tell which rows are not finite, or FAR times as long as the median of those that have any."""
    length = norms(matrix)
    known = length[np.isfinite(length) & (length > 0)]
    limit = FAR * np.median(known) if len(known) else np.inf
    return ~(length <= limit)


def dead(matrix: Matrix) -> int:
    """Count the dimensions that have one value in all rows."""
    return int((matrix == matrix[:1]).all(axis=0).sum())
