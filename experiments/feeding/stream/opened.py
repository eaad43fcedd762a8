"""Units that are here: record batches are fetched ahead of their use, bounded in memory."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import pyarrow as pa

from experiments.feeding.rows import Taken
from experiments.feeding.rows.columns import EmbeddingColumn, Numbers, PlainColumn
from experiments.feeding.stream.fetch import Fetcher
from experiments.feeding.stream.units import Unit


class UnitRows(Protocol):
    """The rows of a unit, in the order in which they come."""

    def __len__(self) -> int:
        """Return how many there are."""

    def take(self, start: int, end: int) -> Taken:
        """Return the rows from `start` on, up to `end`."""


class OpenUnit:
    """A unit whose record batches are here."""

    def __init__(
        self,
        unit: Unit,
        batches: Sequence[pa.RecordBatch],
        embeddings: Sequence[str],
        columns: Sequence[str],
    ):
        self._order = unit.order
        table = pa.Table.from_batches(batches)
        self._wide = [EmbeddingColumn(name, table.column(name)) for name in embeddings]
        self._plain = [PlainColumn(name, table.column(name), gaps=False) for name in columns]

    def __len__(self) -> int:
        return len(self._order)

    def take(self, start: int, end: int) -> Taken:
        """Return the rows from `start` on, up to `end`."""
        rows: Numbers = self._order[start:end]
        return Taken(
            {column.name: column.take(rows) for column in self._wide},
            {column.name: column.take(rows) for column in self._plain},
        )


def opened(
    units: Iterable[Unit],
    fetcher: Fetcher,
    embeddings: Sequence[str],
    columns: Sequence[str],
    ahead: int,
) -> Iterator[OpenUnit]:
    """Yield the units with what they hold, while up to `ahead` record batches are on their way.

    As many requests run at once, but for the first one, which shares its link with no other. When
    the iterator is closed, no more are made.
    """
    pool = ThreadPoolExecutor(ahead, thread_name_prefix="avmit-stream")
    coming = ((unit, place) for unit in units for place in range(len(unit.batches)))
    waiting: deque[tuple[Unit, Future[pa.RecordBatch]]] = deque()
    batches: list[pa.RecordBatch] = []

    def ask(most: int) -> None:
        while len(waiting) < most and (following := next(coming, None)) is not None:
            unit, place = following
            waiting.append((unit, pool.submit(fetcher.fetch, int(unit.batches[place]))))

    try:
        ask(1)
        while waiting:
            unit, future = waiting.popleft()
            batches.append(future.result())
            del future
            ask(ahead)
            if len(batches) == len(unit.batches):
                whole = [OpenUnit(unit, batches, embeddings, columns)]
                batches = []
                yield whole.pop()  # so that no name here keeps it while the next one comes
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def merged(pieces: Sequence[Taken]) -> Taken:
    """Return the rows of several pieces, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0]
    embeddings = {
        name: [a for p in pieces for a in p.embeddings[name]] for name in first.embeddings
    }
    values = {
        name: np.concatenate([p.values[name] for p in pieces])
        if isinstance(first.values[name], np.ndarray)
        else [value for p in pieces for value in p.values[name]]
        for name in first.values
    }
    return Taken(embeddings, values)


def cut(units: Iterable[UnitRows], start: int, size: int) -> Iterator[Taken]:
    """Cut the rows of units, from row `start` of the first one on, into pieces of `size` rows.

    The last piece may be shorter.
    """
    pieces: list[Taken] = []
    held = 0
    for unit in units:
        while start < len(unit):
            end = min(len(unit), start + size - held)
            pieces.append(unit.take(start, end))
            held += end - start
            start = end
            if held == size:
                yield merged(pieces)
                pieces, held = [], 0
        start = 0
        del unit
    if pieces:
        yield merged(pieces)


def parts(units: Iterable[UnitRows], start: int, most: int) -> Iterator[Taken]:
    """Yield the rows of units, from row `start` of the first one on, as they come.

    Each piece is of one unit and of `most` rows at most: none waits for the unit after it.
    """
    for unit in units:
        for first in range(start, len(unit), most):
            yield unit.take(first, min(first + most, len(unit)))
        start = 0
        del unit
