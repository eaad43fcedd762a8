"""The order in which the rows of a split come, known from its index before any of them is here.

Record batches come in a shuffled order over all shards. A unit is some of them, one after the
other in that order, whose rows are mixed; what is shared among processes are record batches.
"""

from dataclasses import dataclass

import numpy as np

from experiments.feeding.batches.order import permutation, shuffled
from experiments.feeding.rows.columns import Numbers

WINDOW = 8
"""Record batches whose rows are mixed, of some 4 MiB each."""


@dataclass(frozen=True)
class Unit:
    """Record batches by their numbers, with `rows` in all; `mixed` is the seed, the epoch and the
    part of it that their order follows from, None where they come as they are.
    """

    batches: Numbers
    rows: int
    mixed: tuple[int, int, int] | None

    @property
    def order(self) -> Numbers:
        """The order of the rows, counted through all record batches.

        To be made once they are here: until then, how many there are is what an index says.
        """
        return np.arange(self.rows) if self.mixed is None else shuffled(self.rows, *self.mixed)


class Units:
    """The units of any epoch of a rank."""

    def __init__(self, rows: Numbers, shuffle: bool, rank: int, world_size: int, window: int):
        self._rows = rows
        self._shuffle = shuffle
        self._rank = rank
        self._world_size = world_size
        self._window = window if shuffle else 1

    def share(self, seed: int, epoch: int, rank: int | None = None) -> Numbers:
        """Return the numbers of the record batches that a rank gets, in their order."""
        count = len(self._rows)
        order = permutation(count, seed, epoch) if self._shuffle else np.arange(count)
        return order[self._rank if rank is None else rank :: self._world_size]

    def bounds(self, seed: int, epoch: int) -> Numbers:
        """Return where each unit begins in the rank's rows, and where the last one ends."""
        return self._cut(seed, epoch)[1]

    def at(self, seed: int, epoch: int, row: int) -> tuple[int, int, int]:
        """Return the unit that a row of the rank is in, where in it, and how many units there are.

        Behind the last row it is the one behind the last unit.
        """
        bounds = self.bounds(seed, epoch)
        first = int(np.searchsorted(bounds, row, side="right")) - 1
        return first, row - int(bounds[first]), len(bounds) - 1

    def unit(self, seed: int, epoch: int, number: int) -> Unit:
        """Return a unit of the rank, by its number from 0."""
        cuts, bounds = self._cut(seed, epoch)
        batches = self.share(seed, epoch)[cuts[number] : cuts[number + 1]]
        length = int(bounds[number + 1] - bounds[number])
        if not self._shuffle:
            return Unit(batches, length, None)
        part = 1 + self._rank + self._world_size * number
        return Unit(batches, length, (seed, epoch, part))

    def fewest_rows(self, seed: int, epoch: int) -> int:
        """Return how many rows the rank with the fewest gets."""
        ranks = range(self._world_size)
        return min(int(self._rows[self.share(seed, epoch, rank)].sum()) for rank in ranks)

    def _cut(self, seed: int, epoch: int) -> tuple[Numbers, Numbers]:
        """Return where units begin among the rank's record batches, and among its rows.

        The first units are of 1, 2, 4, ... record batches, so that the first row waits for one.
        """
        share = self.share(seed, epoch)
        cuts, size = [0], 1
        while cuts[-1] < len(share):
            cuts.append(min(cuts[-1] + min(size, self._window), len(share)))
            size *= 2
        ends = np.concatenate([[0], np.cumsum(self._rows[share])])
        return np.array(cuts), ends[cuts]
