"""A map-style view of a dataset's rows: `avmit.rows`."""

import hashlib
import operator
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

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
from experiments.feeding.rows.unchanged import Unchanged, replaced

_COMPARED = 16
"""Rows that are compared with those of the files where a pickled view is used."""


_Reader = tuple[Part, list[EmbeddingColumn], list[PlainColumn]]


@dataclass(frozen=True)
class Taken:
    """Some rows: for each embedding column an array (T, D) a row, for each other one its values."""

    embeddings: dict[str, list[Matrix]]
    values: dict[str, Values]


class Rows:
    """The rows of a dataset or a join, by number; made by `avmit.rows`.

    `rows[i]` is a dict: for each embedding column a float32 array (T, D), a read-only view of the
    mapped file, and for each column of `columns` its value. It pickles as the names of the files,
    so that the workers of a DataLoader map them again, when a row is first asked for.
    """

    def __init__(self, parts: Sequence[Part], embeddings: Sequence[str], columns: Sequence[str]):
        self.embeddings = tuple(embeddings)
        """The names of the embedding columns."""
        self.columns = tuple(columns)
        """The names of the other ones."""
        self._length = len(parts[0])
        self._unchanged = Unchanged(parts)
        self._pickled: tuple[bytes, str] | None = None
        self._parts = tuple(parts)
        self._readers = self._open()
        wide = {c.name: c.width for _, columns, _ in self._readers for c in columns}
        self.widths = {name: wide[name] for name in self.embeddings}
        """The width D of each embedding column."""

    def _open(self) -> list[_Reader]:
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

    def take(self, numbers: Numbers) -> Taken:
        """Return the rows of these numbers, from 0 to `len` - 1, in their order.

        Raises:
            AvmitError: a file was replaced, or what it holds is damaged.
        """
        self._unchanged.check(now=self._pickled is not None)
        self._unpack()
        return self._taken(numbers)

    def longest(self) -> dict[str, int]:
        """Return how many timesteps the longest row of each embedding column has.

        Raises:
            AvmitError: as `take`.
        """
        self.take(np.arange(0))
        numbers = np.arange(self._length)
        found = {
            column.name: int(column.lengths(part.at(numbers)).max(initial=0))
            for part, wide, _ in self._readers
            for column in wide
        }
        return {name: found[name] for name in self.embeddings}

    def _taken(self, numbers: Numbers) -> Taken:
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

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.__getitem__, range(self._length))

    def __getitem__(self, number: SupportsIndex) -> dict[str, Any]:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Iterable[SupportsIndex]) -> list[dict[str, Any]]:
        chosen = np.array([self._checked(number) for number in numbers], np.int64)
        taken = self.take(chosen)
        # A number of NumPy's would be a tensor of another kind to a collate function.
        values = {
            n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in taken.values.items()
        }
        columns = {**taken.embeddings, **values}
        return [{name: column[i] for name, column in columns.items()} for i in range(len(chosen))]

    def _checked(self, number: SupportsIndex) -> int:
        index = operator.index(number)
        if not -self._length <= index < self._length:
            raise IndexError(f"row {index} of {self._length}")
        return index % self._length

    def __repr__(self) -> str:
        shapes = [f"{name} (T, {width})" for name, width in self.widths.items()]
        return f"Rows({self._length} rows: {', '.join([*shapes, *self.columns])})"

    def __getstate__(self) -> dict[str, Any]:
        if self._pickled is None:
            self._unchanged.check(now=True)
            pickled = pickle.dumps(self._parts), self._digest()
        else:
            pickled = self._pickled
        return {**self.__dict__, "_parts": (), "_readers": [], "_pickled": pickled}

    def _unpack(self) -> None:
        """Map the files again, in the process that this was pickled for.

        Not as soon as it is unpickled: a worker that fails then cannot say why.
        """
        pickled = self._pickled  # another thread may be as far
        if pickled is None:
            return
        parts, digest = pickled
        self._parts = pickle.loads(parts)
        self._readers = self._open()
        if self._digest() != digest:
            # Replaced before it was looked at: what is mapped there is not what is mapped here.
            raise replaced(self._unchanged.files)
        self._pickled = None

    def _digest(self) -> str:
        """Return what tells these rows from others, by some of them."""
        count = min(self._length, _COMPARED)
        taken = self._taken(np.linspace(0, self._length - 1, count).astype(np.int64))
        digest = hashlib.sha256(repr([len(part.dataset.data) for part in self._parts]).encode())
        for arrays in taken.embeddings.values():
            for array in arrays:
                digest.update(repr(array.shape).encode() + array.tobytes())
        digest.update(repr([list(values) for values in taken.values.values()]).encode())
        return digest.hexdigest()


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
