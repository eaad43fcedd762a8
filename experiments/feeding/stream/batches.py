"""Batches of a stream's rows."""

from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from experiments.feeding.batches.ahead import made_ahead
from experiments.feeding.batches.collate import put_together
from experiments.feeding.batches.formats import formatter
from experiments.feeding.batches.options import BatchOptions
from experiments.feeding.batches.position import Epochs, Position
from experiments.feeding.rows import Taken
from experiments.feeding.stream.opened import cut

if TYPE_CHECKING:
    from experiments.feeding.stream.streaming import Stream


class StreamedBatches(Epochs):
    """An epoch of a stream's batches each time it is iterated over; made by `avmit.stream`."""

    def __init__(
        self,
        stream: "Stream",
        embeddings: Sequence[str],
        others: Sequence[str],
        options: BatchOptions,
        ahead: int,
    ):
        at = stream.state_dict()
        super().__init__(at["seed"], at["epoch"])
        self._stream = stream
        self._columns = list(embeddings), list(others)
        self.options = options
        self._ahead = ahead
        self._formatter = formatter(options.format)
        self._widths = widths(stream.split.schema, embeddings)

    def __len__(self) -> int:
        """Return how many batches the next iteration gives."""
        return self.most(self._next())

    def _most(self, at: Position) -> int:
        return self.most(at)

    def most(self, at: Position) -> int:
        """Return how many batches the epoch of `at` has."""
        units, size = self._stream.units, self.options.batch_size
        if self.options.drop_last:
            return units.fewest_rows(at.seed, at.epoch) // size
        return -(-int(units.bounds(at.seed, at.epoch)[-1]) // size)

    def __iter__(self) -> Generator[dict[str, Any], None, None]:
        return self._through(self.coming)

    def coming(self, at: Position) -> Iterator[dict[str, Any]]:
        """Fetch the batches of an epoch from a position on."""
        size = self.options.batch_size
        start, units = self._stream.open(at, at.position * size, *self._columns)
        pieces = islice(cut(units, start, size), self.most(at) - at.position)

        def make(number: int) -> dict[str, Any] | None:
            taken = next(pieces, None)  # waiting too is what the thread is for
            return None if taken is None else self.make(taken, number * size)

        for batch in made_ahead(make, range(at.position, self.most(at)), self._ahead):
            if batch is not None:
                yield batch
        self._stream.settle()

    def make(self, taken: Taken, first: int) -> dict[str, Any]:
        """Make a batch of rows, the first of which has that number among the rank's."""

        def said(name: str, row: int) -> str:
            return f"{name} of row {first + row} of the stream"

        timesteps = dict.fromkeys(self._widths, self.options.timesteps)
        return put_together(taken, self._widths, timesteps, self.options, self._formatter, said)

    def __repr__(self) -> str:
        return f"StreamedBatches({len(self)} of {self.options.batch_size}: {self._stream})"


def widths(schema: pa.Schema, embeddings: Sequence[str]) -> dict[str, int]:
    """Return the number of values that a timestep of each embedding column has."""
    return {name: schema.field(name).type.value_type.list_size for name in embeddings}
