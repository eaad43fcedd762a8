"""Features of videos in an order that the user names: `avmit.features`."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

import avmit
from avmit import AvmitError
from conversion.spelled import argument, spelled
from conversion.wording import printable
from experiments.features import files, toolbox
from experiments.features.description import describe, folder_of
from experiments.features.dissimilarity import By, Metric, dissimilarities
from experiments.features.order import Missing, Order, chosen_rows, order_name, wanted_names
from experiments.features.pooling import Pool, Progress, lengths_of, pooled
from experiments.feeding.batches.options import whole_number
from experiments.feeding.rows import Part, rows
from experiments.feeding.rows.columns import NOT_THERE, Numbers
from experiments.feeding.rows.part import parts_of
from experiments.feeding.tables.labels import label_column

_LABELS = ("label", "AVMIT_label")


@dataclass(frozen=True, repr=False)
class Features:
    """A matrix for each modality, and which video each of its lines is of; see `avmit.features`."""

    matrices: Mapping[str, npt.NDArray[np.float32]]
    """By embedding column: (N, D), (N, T * D) or (N, T, D) float32."""
    lengths: Mapping[str, Numbers]
    """By embedding column: how many timesteps each row has of its own, (N,)."""
    ids: list[str]
    """The name of each row's video."""
    labels: Numbers | None
    """The number of each row's class in `classes`, -1 for none; None without a label column."""
    classes: list[str]
    pool: Pool
    description: dict[str, Any]
    """Config, encoders, widths, timesteps, pooling, checksum of the manifest: see the files."""
    left_out: list[str]
    """What was asked for and is not there."""
    id_name: str = "filename"

    @property
    def audio(self) -> npt.NDArray[np.float32]:
        """The matrix of the audio embeddings."""
        return self.matrix("audio")

    @property
    def visual(self) -> npt.NDArray[np.float32]:
        """The matrix of the visual embeddings."""
        return self.matrix("visual")

    def matrix(self, modality: str) -> npt.NDArray[np.float32]:
        """Return the matrix of a modality.

        Raises:
            AvmitError: there is none.
        """
        if modality not in self.matrices:
            there = ", ".join(self.matrices)
            raise AvmitError(
                f"no '{printable(str(modality))}' in these features; there are: {there}"
            )
        return self.matrices[modality]

    @property
    def label_names(self) -> list[str] | None:
        """The name of each row's class, empty for none."""
        if self.labels is None:
            return None
        names = [*self.classes, ""]
        return [names[label] for label in self.labels.tolist()]

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write all of it to a file whose ending says the format: .h5, .npz, .mat or .csv.

        The same features give the same bytes. The file is there as a whole or not at all. Of a .csv
        the description goes to a .json of the same name.

        Raises:
            AvmitError: another ending; a file is there already; the format cannot hold it; a
                package that writes it is not installed.
        """
        files.save(self, Path(path), overwrite)

    def rdm(
        self, modality: str, metric: Metric = "correlation", by: By = "clip"
    ) -> npt.NDArray[np.float64]:
        """Return the square matrix of dissimilarities between clips or classes.

        `correlation` is 1 - Pearson's r, `cosine` 1 - the cosine, `euclidean` the distance. By
        class, in the order of the class numbers that there are, they are between the means of the
        classes' rows.

        Raises:
            AvmitError: there are too many rows, no labels, or no such metric.
        """
        return dissimilarities(self, modality, metric, by)[0]

    def rdms(self, metric: Metric = "correlation", by: By = "clip") -> Any:
        """Return rsatoolbox's `RDMs`, one for each modality, of the dissimilarities of `rdm`.

        Raises:
            AvmitError: as `rdm`; or rsatoolbox is not installed.
        """
        return toolbox.rdms(self, metric, by)

    def to_rsatoolbox(self, modality: str) -> Any:
        """Return rsatoolbox's `Dataset` of a modality; of pool none its `TemporalDataset`, with the
        timesteps that all rows have.

        Raises:
            AvmitError: there is no such modality, or rsatoolbox is not installed.
        """
        return toolbox.dataset(self, modality)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        shapes = [f"{name} {matrix.shape}" for name, matrix in self.matrices.items()]
        return f"Features({len(self.ids)} rows, pool {self.pool}: {', '.join(shapes)})"


def features(
    source: Any,
    *,
    split: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    audio: bool = True,
    visual: bool = True,
    pool: Pool = "mean",
    timesteps: int | None = None,
    order: Order = "package",
    missing: Missing = "error",
    ids: str = "filename",
    progress: Progress = lambda done, total: None,
) -> Features:
    """Make a dense matrix of each modality, a line a video, in the order that is named.

    Args:
        source: the name of a config; or rows: a `Dataset` of `avmit.load` or `load_dataset`, or
            what `avmit.select` or `avmit.join` return.
        split: of a config that is named: `train`, `test`, or an expression; by default all.
        data_dir: of a config that is named, as in `avmit.load`.
        audio: whether to take the audio embeddings.
        visual: whether to take the visual ones.
        pool: `mean` over each row's timesteps, (N, D); `flatten`, one timestep after the other,
            (N, T * D), with the timesteps that all rows have; `none`, (N, T, D), zero after a row's
            end.
        timesteps: T for flatten and none: longer rows are cut, shorter ones get zeros.
        order: `package`; `test_set`; a file with a filename a line, or a table with a column
            `filename` or `MiT_filename`; or a list of names. Rows that it does not name are not
            there; one that it names twice is there twice.
        missing: what to do with a video of the order that the rows lack, or one without timesteps
            where some are needed: `error`, or `skip` it.
        ids: the column that has the names.
        progress: told of the rows that are done.

    Returns:
        Features, with `audio`, `visual`, `ids`, `labels`, `description`, `save`, `rdm`.

    Raises:
        AvmitError: an option is out of its range, a column or video is not there, or a shard is
            damaged.
    """
    for name, value, kinds in (("pool", pool, Pool), ("missing", missing, Missing)):
        if value not in get_args(kinds):
            raise AvmitError(f"{name}={value!r}: it is one of {', '.join(get_args(kinds))}")
    if timesteps is not None:
        timesteps = whole_number("timesteps", timesteps, 1)
        if pool == "mean":
            raise AvmitError(
                spelled(
                    argument("timesteps", timesteps),
                    " is of ",
                    argument("pool", "flatten"),
                    " or none: leave it out, or name one of these",
                )
            )
    package = None
    if isinstance(source, str):
        package = avmit.find_package(data_dir)
        folder = package / source if isinstance(package, Path) else None
        source = _loaded(package, source, split)
        # A config may have one modality alone.
        audio &= "audio" in source.column_names
        visual &= "visual" in source.column_names
    elif split is not None or data_dir is not None:
        raise AvmitError("split= and data_dir= are of a config that is named: leave them out")
    view = rows(source, audio, visual, columns=(ids,))
    if not view.embeddings:
        raise AvmitError("no embeddings are asked for, or none are in these rows: name others")
    names = [str(name) for name in view.take(np.arange(len(view))).values[ids]]
    if not names:
        raise AvmitError("there are no rows: choose others")
    said = order_name(order)
    numbers, left_out = chosen_rows(names, wanted_names(order, package), said, missing)
    if pool != "none":
        empty = _without_timesteps(lengths_of(view, numbers), pool, timesteps)
        if empty.any() and missing == "error":
            first = names[numbers[np.argmax(empty)]]
            raise AvmitError(
                spelled(
                    f"{int(empty.sum()):,} videos have no timesteps, the first {printable(first)}: "
                    "leave them out with ",
                    argument("missing", "skip"),
                    ", or take ",
                    argument("pool", "none"),
                )
            )
        left_out += [names[number] for number in numbers[empty]]
        numbers = numbers[~empty]
        if not len(numbers):
            raise AvmitError(
                spelled(
                    f"none of {len(names):,} videos has timesteps: take ", argument("pool", "none")
                )
            )
    found = pooled(view, numbers, pool, timesteps, progress)
    parts = parts_of(source)
    columns = {}
    for name in view.embeddings:
        part = next(part for part in parts if name in part.names)
        where = folder if package is not None else folder_of(part)
        columns[name] = (where, part.names[name])
    labels, classes = _labels(parts)
    return Features(
        matrices=found.matrices,
        lengths=found.lengths,
        ids=[names[number] for number in numbers],
        labels=None if labels is None else labels[numbers],
        classes=classes,
        pool=pool,
        description=describe(
            columns,
            view.widths,
            found.lengths,
            found.kept,
            split=split,
            order=said,
            pool=pool,
        ),
        left_out=left_out,
        id_name=ids,
    )


def _loaded(package: Path | str, config: str, split: str | None) -> Any:
    with warnings.catch_warnings():
        # Classes go by their names here, which stand beside their numbers.
        warnings.filterwarnings("ignore", "label numbers in", UserWarning)
        return avmit.load(config, split or "all", data_dir=package)


def _without_timesteps(
    lengths: Mapping[str, Numbers], pool: Pool, timesteps: int | None
) -> npt.NDArray[np.bool_]:
    empty = np.any([of_rows == 0 for of_rows in lengths.values()], axis=0)
    return empty if pool == "mean" or timesteps is None else np.zeros_like(empty)


def _labels(parts: Sequence[Part]) -> tuple[Numbers | None, list[str]]:
    """Return the class of each row and the names of the classes."""
    if not any(name in part.names for part in parts for name in _LABELS):
        return None, []
    try:
        label = label_column(parts, "labels")
    except AvmitError:  # numbers without names, as of a table of the user's
        return None, []
    numbers = np.append(label.renumbered(label.names), NOT_THERE)
    return numbers[label.part.at(np.arange(len(label.part)))], label.names
