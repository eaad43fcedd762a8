"""A map-style view of a dataset's rows: `avmit.rows`."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avmit import AvmitError
from experiments.feeding.rows.columns import (
    EmbeddingColumn,
    Matrix,
    Numbers,
    PlainColumn,
    Values,
    is_embedding,
)
from experiments.feeding.rows.part import Part, parts_of
from experiments.feeding.rows.unchanged import Unchanged

MODALITIES = ("audio", "visual")


@dataclass(frozen=True)
class Taken:
    """Some rows: for each embedding column an array (T, D) a row, for each other one its values."""

    embeddings: dict[str, list[Matrix]]
    values: dict[str, Values]


class Rows:
    """The rows of a dataset or a join, by number; made by `avmit.rows`.

    `rows[i]` is a dict: for each embedding column a float32 array (T, D), a read-only view of the
    mapped file, and for each column of `columns` its value. It pickles as the addresses of the
    files, so that the workers of a DataLoader map them again.
    """

    def __init__(self, parts: Sequence[Part], embeddings: Sequence[str], columns: Sequence[str]):
        self.embeddings = tuple(embeddings)
        """The names of the embedding columns."""
        self.columns = tuple(columns)
        """The names of the other ones."""
        self._parts = tuple(parts)
        self._unchanged = Unchanged(parts)
        self._length = len(parts[0])
        self._readers = self._open()

    def _open(self) -> list[tuple[Part, list[EmbeddingColumn], list[PlainColumn]]]:
        readers = []
        for part in self._parts:
            wide = [EmbeddingColumn(n, part.column(n)) for n in self.embeddings if n in part.names]
            gaps = part.rows is not None and bool((part.rows < 0).any())
            plain = [
                PlainColumn(n, part.column(n), gaps=gaps) for n in self.columns if n in part.names
            ]
            if wide or plain:
                readers.append((part, wide, plain))
        return readers

    @property
    def widths(self) -> dict[str, int]:
        """The width D of each embedding column."""
        wide = {c.name: c.width for _, columns, _ in self._readers for c in columns}
        return {name: wide[name] for name in self.embeddings}

    def take(self, numbers: Numbers) -> Taken:
        """Return the rows of these numbers, from 0 to `len` - 1, in their order."""
        self._unchanged.check()
        embeddings: dict[str, list[Matrix]] = {}
        values: dict[str, Values] = {}
        for part, wide, plain in self._readers:
            at = part.at(numbers)
            embeddings |= {column.name: column.take(at) for column in wide}
            values |= {column.name: column.take(at) for column in plain}
        return Taken(
            {name: embeddings[name] for name in self.embeddings},
            {name: values[name] for name in self.columns},
        )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        chosen = np.array([self._checked(number) for number in numbers], np.int64)
        taken = self.take(chosen)
        # A number of NumPy's would be a tensor of another kind to a collate function.
        values = {
            n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in taken.values.items()
        }
        columns = {**taken.embeddings, **values}
        return [{name: column[i] for name, column in columns.items()} for i in range(len(chosen))]

    def _checked(self, number: int) -> int:
        index = operator.index(number)
        if not -self._length <= index < self._length:
            raise IndexError(f"row {index} of {self._length}")
        return index % self._length

    def __repr__(self) -> str:
        shapes = [f"{name} (T, {width})" for name, width in self.widths.items()]
        return f"Rows({self._length} rows: {', '.join([*shapes, *self.columns])})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_readers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # What was mapped there must be what is mapped here.
        self._unchanged.check(now=True)
        self._readers = self._open()


def rows(
    source: Any, audio: bool = True, visual: bool = True, columns: Sequence[str] = ("label",)
) -> Rows:
    """Look at the rows of a dataset, or of a join, as arrays and values.

    Args:
        source: a `Dataset` of `avmit.load` or `load_dataset`, also after select, shuffle, filter,
            train_test_split or concatenate_datasets; or what `avmit.join` returns.
        audio: whether to take the audio embeddings.
        visual: whether to take the visual ones.
        columns: the other columns to take.

    Returns:
        Rows, with `len`, `rows[i]`, `rows.__getitems__(numbers)`: what PyTorch's DataLoader takes
        as a map-style dataset and grain as a random-access source.

    Raises:
        AvmitError: `source` is none of those, or a column is not there or not of that kind.
    """
    parts = parts_of(source)
    embeddings, others = choose_columns(parts, audio, visual, columns)
    return Rows(parts, embeddings, others)


def choose_columns(
    parts: Sequence[Part], audio: bool, visual: bool, columns: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the names of the embedding columns and of the others that are asked for.

    Raises:
        AvmitError: one is not there, or not of that kind.
    """
    kinds = {name: (part, name) for part in parts for name in part.names}
    wide = [name for name, (part, _) in kinds.items() if is_embedding(part.column(name).type)]
    there = ", ".join(kinds)
    wanted = {"audio": audio, "visual": visual}
    origins = {name: kinds[name][0].names[name] for name in wide}
    for modality in MODALITIES:
        if not wanted[modality] or modality in origins.values():
            continue
        if modality in kinds:
            kind = kinds[modality][0].column(modality).type
            raise AvmitError(f"column '{modality}' is {kind}, not float32 arrays (T, D)")
        raise AvmitError(f"no column '{modality}' in these rows ({there}): pass {modality}=False")
    embeddings = [name for name in wide if wanted.get(origins[name], True)]
    return embeddings, check_columns(columns, list(kinds), wide)


def check_columns(columns: Sequence[str], there: Sequence[str], wide: Sequence[str]) -> list[str]:
    """Return the columns that are asked for beside the embeddings.

    Raises:
        AvmitError: one is not there, stands twice or is an embedding; or it is a string.
    """
    if isinstance(columns, str):
        instead = "audio=, visual= say" if columns in wide else f'columns=("{columns}",) says'
        raise AvmitError(f"columns='{columns}' is a string, not a list of names: {instead} that")
    names = [str(name) for name in columns]
    for name in names:
        if name not in there:
            raise AvmitError(
                f"no column '{name}' in these rows; there are: {', '.join(there)}; "
                "say which with columns="
            )
        if name in wide:
            raise AvmitError(
                f"'{name}' holds embeddings, which come by themselves; leave them out with "
                "audio=False or visual=False"
            )
        if names.count(name) > 1:
            raise AvmitError(f"columns names '{name}' twice")
    return names
