"""Which rows and columns of a dataset are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import datasets
import numpy as np
import pyarrow as pa

from avmit import AvmitError
from experiments.feeding.rows.columns import NOT_THERE, Numbers


@dataclass(frozen=True)
class Part:
    """Some columns of a dataset, under names of their own, and which of its rows.

    `rows` holds a row number for each row that is seen, NOT_THERE (-1) where there is none; None is
    all of them in order.
    """

    dataset: datasets.Dataset
    names: Mapping[str, str]
    rows: Numbers | None = None

    def __len__(self) -> int:
        return len(self.dataset) if self.rows is None else len(self.rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the column called `name` here, for all rows of the underlying table."""
        return self.dataset.data.table.column(self.names[name])

    def at(self, rows: Numbers) -> Numbers:
        """Return the rows of the underlying table that these rows are."""
        if self.rows is not None:
            rows = self.rows[rows]
        chosen = self.dataset._indices  # what select, shuffle and filter leave; nothing public is
        if chosen is None:
            return rows
        missing = rows == NOT_THERE
        numbers = _numbers(chosen)
        if not len(numbers):
            return rows
        found: Numbers = numbers[np.where(missing, 0, rows)].astype(np.int64)
        found[missing] = NOT_THERE
        return found


@runtime_checkable
class Parted(Protocol):
    """What is put together of parts, side by side: a join."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts, each as long as the whole."""


def _numbers(indices: Any) -> Any:
    column = indices.table.column(0)
    return column.chunk(0).to_numpy() if column.num_chunks == 1 else column.to_numpy()


def parts_of(source: Any) -> tuple[Part, ...]:
    """Return the parts of a `Dataset` or of a join.

    Raises:
        AvmitError: it is neither.
    """
    if isinstance(source, datasets.Dataset):
        # Without what `with_transform` brings, which may not be picklable.
        plain = source.with_format(None)
        return (Part(plain, {name: name for name in source.column_names}),)
    if isinstance(source, Parted):
        return source.parts
    if isinstance(source, (dict, datasets.IterableDatasetDict)):
        splits = ", ".join(map(str, source))
        raise AvmitError(f"these are splits, {splits}: give one of them, such as ds['train']")
    if isinstance(source, datasets.IterableDataset):
        raise AvmitError("a stream has no row numbers: give it to avmit.batches, or load it whole")
    if hasattr(source, "load_state_dict"):
        raise AvmitError(
            "these are batches already: iterate over them; format= of avmit.batches and "
            "avmit.pairs says whose arrays they are, such as format='torch'"
        )
    raise AvmitError(
        f"a {type(source).__name__} is not rows: give what avmit.load, load_dataset, avmit.select "
        "or avmit.join return"
    )
