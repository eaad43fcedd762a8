"""Makes any batch of a dataset's epoch, here or in a worker."""

from typing import Any, Protocol

import numpy as np

from experiments.feeding.batches.collate import New, entries, put_together
from experiments.feeding.batches.formats import Formatter
from experiments.feeding.batches.memory import aligned
from experiments.feeding.batches.options import BatchOptions
from experiments.feeding.batches.order import batch_bounds, batch_count, permutation
from experiments.feeding.rows import Rows
from experiments.feeding.rows.columns import Numbers


class Maker(Protocol):
    """Makes any batch of an epoch."""

    @property
    def options(self) -> BatchOptions:
        """How rows are put together."""

    @property
    def rows(self) -> Any:
        """What the batches are made of, to be shown."""

    def __len__(self) -> int: ...

    def make(self, seed: int, epoch: int, position: int, formatter: Formatter) -> dict[str, Any]:
        """Make a batch."""


def count_of(length: int, o: BatchOptions) -> int:
    """Return how many batches of an epoch of so many rows a rank gets."""
    return batch_count(length, o.batch_size, o.drop_last, o.rank, o.world_size)


def numbers_of(length: int, o: BatchOptions, seed: int, epoch: int, position: int) -> Numbers:
    """Return the numbers of the rows, of so many in an epoch, that are in a batch of a rank."""
    start, end = batch_bounds(length, o.batch_size, o.rank, o.world_size, position)
    if not o.shuffle:
        return np.arange(start, end)
    return permutation(length, seed, epoch)[start:end]


class BatchMaker:
    """The batches of any epoch of `rows`, by (seed, epoch, position); pickles as `rows` does.

    Raises:
        AvmitError: two entries of a batch would have one name.
    """

    def __init__(self, rows: Rows, options: BatchOptions):
        self.rows = rows
        self.options = options
        self.entries = entries(rows.embeddings, rows.columns, options.layout)
        """The names that stand in a batch."""
        self.timesteps = dict.fromkeys(rows.embeddings, options.timesteps)
        """How many each row of an embedding column gets; None for those of the batch's longest."""

    def __len__(self) -> int:
        return count_of(len(self.rows), self.options)

    def numbers(self, seed: int, epoch: int, position: int) -> Numbers:
        """Return the numbers of the rows that are in a batch."""
        return numbers_of(len(self.rows), self.options, seed, epoch, position)

    def make(
        self, seed: int, epoch: int, position: int, formatter: Formatter, new: New = aligned
    ) -> dict[str, Any]:
        """Make a batch.

        Raises:
            AvmitError: a row has more timesteps than there may be, or the files were replaced.
        """
        numbers = self.numbers(seed, epoch, position)

        def said(name: str, row: int) -> str:
            return f"{name} of row {numbers[row]}"

        taken, widths = self.rows.take(numbers), self.rows.widths
        return put_together(taken, widths, self.timesteps, self.options, formatter, said, new)
