"""Makes any batch of a dataset's epoch, here or in a worker."""

from typing import Any

import numpy as np

from experiments.feeding.batches.collate import New, entries, put_together
from experiments.feeding.batches.formats import Formatter
from experiments.feeding.batches.memory import aligned
from experiments.feeding.batches.options import BatchOptions
from experiments.feeding.batches.order import batch_bounds, batch_count, permutation
from experiments.feeding.rows import Rows
from experiments.feeding.rows.columns import Numbers


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
        o = self.options
        return batch_count(len(self.rows), o.batch_size, o.drop_last, o.rank, o.world_size)

    def numbers(self, seed: int, epoch: int, position: int) -> Numbers:
        """Return the numbers of the rows that are in a batch."""
        o = self.options
        start, end = batch_bounds(len(self.rows), o.batch_size, o.rank, o.world_size, position)
        if not o.shuffle:
            return np.arange(start, end)
        return permutation(len(self.rows), seed, epoch)[start:end]

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
