"""Two or more tables side by side: what `avmit.join` returns."""

import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import datasets
import numpy as np
import pandas as pd

from avmit import AvmitError
from conversion.wording import printable
from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import Numbers, is_embedding, values_and_offsets
from experiments.feeding.tables.report import JoinReport
from experiments.feeding.tables.seen import seen, small_columns, small_names


class Joined:
    """Rows of several tables side by side; made by `avmit.join`.

    It holds row numbers: embeddings stay where they are, in the mapped files. `avmit.rows`,
    `avmit.batches`, `avmit.select` and `avmit.join` take it as they take a `Dataset`. `report` says
    what either side of the join lacked.
    """

    def __init__(self, parts: Sequence[Part], report: JoinReport):
        self._parts = tuple(parts)
        self.report = report

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts, each as long as the whole."""
        return self._parts

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, those of the left side first."""
        return [name for part in self._parts for name in part.names]

    @property
    def features(self) -> datasets.Features:
        """The kinds of the columns, as of a `Dataset`."""
        return datasets.Features(
            {
                name: part.dataset.features[own]
                for part in self._parts
                for name, own in part.names.items()
            }
        )

    def select(self, indices: Iterable[int]) -> "Joined":
        """Return the rows of these numbers, from 0 to `len` - 1, in their order.

        Raises:
            AvmitError: they are not row numbers.
            IndexError: there is no such row.
        """
        numbers = _numbers(indices, len(self))
        return Joined([seen(part, numbers) for part in self._parts], self.report)

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the small columns, or those of them that are asked for, as a DataFrame.

        Numbers are NaN and all else is None where a join found nothing.

        Raises:
            AvmitError: a column is not there, or holds embeddings.
        """
        small = small_names(self._parts)
        names = small if columns is None else _named(columns)
        for name in names:
            if name in small:
                continue
            if name in self.column_names:
                raise AvmitError(f"'{name}' holds embeddings: avmit.rows and avmit.batches have it")
            there = ", ".join(map(printable, small))
            raise AvmitError(f"no small column '{printable(name)}'; there are: {there}")
        return small_columns(self._parts, names).to_pandas()

    def __len__(self) -> int:
        return len(self._parts[0])

    def __getitem__(self, number: Any) -> dict[str, Any]:
        """Return a row: embeddings as float32 arrays (T, D), all else as Python's.

        Where a join found nothing, an embedding has no timesteps, and all else is None.
        """
        if isinstance(number, str):
            raise AvmitError(
                f"'{number}' is a column, and rows are taken by number: to_pandas() has the columns"
            )
        index = operator.index(number)
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        row: dict[str, Any] = {}
        for part in self._parts:
            at = int(part.at(np.array([index % len(self)]))[0])
            row |= {name: _value(part, name, at) for name in part.names}
        return row

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        return f"Joined({len(self)} rows: {', '.join(self.column_names)})"


def _value(part: Part, name: str, row: int) -> Any:
    column = part.column(name)
    one = column.slice(max(row, 0), 1 if row >= 0 else 0)
    if not is_embedding(column.type):
        return one[0].as_py() if row >= 0 else None
    if row < 0:
        return np.empty((0, column.type.value_type.list_size), np.float32)
    values, offsets = values_and_offsets(name, next(c for c in one.chunks if len(c)))
    return values[offsets[0] : offsets[1]]


def _named(columns: Sequence[str]) -> list[str]:
    """Return the names, each once."""
    return [columns] if isinstance(columns, str) else list(dict.fromkeys(map(str, columns)))


def _numbers(indices: Iterable[int], length: int) -> Numbers:
    given = np.asarray(indices if isinstance(indices, (Sequence, np.ndarray)) else list(indices))
    if given.dtype == bool:
        raise AvmitError("select takes row numbers, not a mask: give numpy.flatnonzero(mask)")
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise AvmitError("select takes row numbers, such as [3, 0, 5] or range(10)")
    numbers = given.astype(np.int64)
    wrong = numbers[(numbers < -length) | (numbers >= length)]
    if len(wrong):
        raise IndexError(f"row {wrong[0]} of {length}")
    return np.where(numbers < 0, numbers + length, numbers)
