"""A map-style view of a dataset's rows: `avmit.rows`."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.feeding.rows.choice import Column, choose_columns
from experiments.feeding.rows.columns import (
    EmbeddingColumn,
    Matrix,
    Numbers,
    PlainColumn,
    Values,
)
from experiments.feeding.rows.part import Part, parts_of
from experiments.feeding.rows.unchanged import Unchanged


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
    there = {
        name: Column(part.column(name).type, origin)
        for part in parts
        for name, origin in part.names.items()
    }
    embeddings, others = choose_columns(there, audio, visual, columns)
    return Rows(parts, embeddings, others)
