"""A stream's batches as a PyTorch `DataLoader`, whose workers fetch."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np

from avmit import AvmitError
from experiments.extras import require
from experiments.feeding.batches.collate import jagged
from experiments.feeding.batches.options import BatchOptions
from experiments.feeding.batches.position import Epochs, Position
from experiments.feeding.loaders.packed import Packed, pack, unpack
from experiments.feeding.rows import Taken
from experiments.feeding.rows.columns import Matrix
from experiments.feeding.stream.batches import StreamedBatches, widths
from experiments.feeding.stream.fetch import Fetcher
from experiments.feeding.stream.opened import cut, opened
from experiments.feeding.stream.streaming import Stream
from experiments.feeding.stream.units import Unit

torch: Any = require("torch", "avmit.torch_loader")

Columns = tuple[list[str], list[str]]
"""The names of embedding columns, and of others."""


class _Fetched(torch.utils.data.Dataset):  # type: ignore[misc]
    """Whole units by (seed, epoch, number), as a worker fetches them and sends them."""

    def __init__(self, stream: Stream, columns: Columns):
        self._units = stream.units
        self._ahead = stream.ahead
        self._columns = columns
        self._widths = widths(stream.split.schema, columns[0])
        self._fetcher = Fetcher(stream.split, [*columns[0], *columns[1]])

    def __getitem__(self, at: tuple[int, int, int]) -> Packed | AvmitError:
        try:
            return self._fetched(self._units.unit(*at))
        except AvmitError as error:
            return error  # raised, a DataLoader would put the worker's traceback into its text

    def _fetched(self, unit: Unit) -> Packed:
        (whole,) = opened([unit], self._fetcher, *self._columns, self._ahead)
        taken = whole.take(0, len(whole))
        arrays: dict[str, Any] = {}
        for name, rows in taken.embeddings.items():
            values, offsets = jagged(rows, self._widths[name])
            arrays |= {_values(name): values, _offsets(name): offsets}
        return pack(arrays | taken.values)


class _Received:
    """A unit that a worker sent: its rows are in the order in which they come."""

    def __init__(self, packed: Packed, columns: Columns, length: int):
        self._arrays = {
            name: value.numpy() if hasattr(value, "numpy") else value
            for name, value in unpack(packed).items()
        }
        self._columns = columns
        self._length = length

    def __len__(self) -> int:
        return self._length

    def take(self, start: int, end: int) -> Taken:
        """Return the rows from `start` on, up to `end`."""
        wide, others = self._columns
        embeddings = {name: self._rows(name, start, end) for name in wide}
        return Taken(embeddings, {name: self._arrays[name][start:end] for name in others})

    def _rows(self, name: str, start: int, end: int) -> list[Matrix]:
        values: Matrix = self._arrays[_values(name)]
        bounds = self._arrays[_offsets(name)][start : end + 1].tolist()
        return [values[a:b] for a, b in pairwise(bounds)]


def _values(name: str) -> str:
    return f"{name}/values"  # no column's name: a batch has none of them yet


def _offsets(name: str) -> str:
    return f"{name}/offsets"


class _Coming:
    """Names the units of an epoch from one on, for the workers."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self.at = Position(0, 0)
        self.first = 0

    def __len__(self) -> int:
        return len(self._stream.units.bounds(self.at.seed, self.at.epoch)) - 1 - self.first

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        at, first = self.at, self.first
        return ((at.seed, at.epoch, first + number) for number in range(len(self)))


class StreamLoader(torch.utils.data.DataLoader, Epochs):  # type: ignore[misc]
    """A `DataLoader` of a stream's batches, dicts of tensors; made by `avmit.torch_loader`.

    Its workers fetch record batches, each its own, and batches are cut from them here: they are the
    same with any number of workers.
    """

    def __init__(
        self, stream: Stream, columns: Columns, options: BatchOptions, ahead: int, **loader: Any
    ):
        if not loader.get("in_order", True):
            raise AvmitError("in_order=False: a state could not tell which batches were given")
        self._batches = StreamedBatches(stream, *columns, options, ahead)
        at = self._batches.state_dict()
        Epochs.__init__(self, at["seed"], at["epoch"])
        self._stream = stream
        self._columns = columns
        self._coming = _Coming(stream)
        kept: dict[str, Any] = {
            "sampler": self._coming,
            "batch_size": None,
            "collate_fn": _as_it_is,
        }
        torch.utils.data.DataLoader.__init__(self, _Fetched(stream, columns), **kept, **loader)

    def __len__(self) -> int:
        """Return how many batches the next iteration gives."""
        return self._most(self._next())

    def _most(self, at: Position) -> int:
        return self._batches.most(at)

    def __iter__(self) -> Any:
        return self._through(self._from)

    def _from(self, at: Position) -> Iterator[dict[str, Any]]:
        if self.num_workers == 0:
            yield from self._pinned(self._batches.coming(at))
            return
        self._stream.settle()
        size = self._batches.options.batch_size
        first, within, _ = self._stream.units.at(at.seed, at.epoch, at.position * size)
        self._coming.at, self._coming.first = at, first
        pieces = cut(self._received(at, first), within, size)
        for number, taken in enumerate(islice(pieces, self._most(at) - at.position), at.position):
            yield from self._pinned([self._batches.make(taken, number * size)])
        self._stream.settle()

    def _received(self, at: Position, first: int) -> Iterator[_Received]:
        lengths = np.diff(self._stream.units.bounds(at.seed, at.epoch))[first:].tolist()
        units = torch.utils.data.DataLoader.__iter__(self)
        try:
            for length, packed in zip(lengths, units, strict=True):
                if isinstance(packed, AvmitError):
                    raise packed
                yield _Received(packed, self._columns, length)
        finally:
            del units  # an error's traceback would keep the workers

    def _pinned(self, batches: Any) -> Iterator[dict[str, Any]]:
        if not self.pin_memory:
            return iter(batches)
        return ({n: _pin(v) for n, v in batch.items()} for batch in batches)

    def __repr__(self) -> str:
        return f"StreamLoader({self._batches})"


def _pin(value: Any) -> Any:
    return value.pin_memory() if hasattr(value, "pin_memory") else value


def _as_it_is(unit: Packed | AvmitError) -> Packed | AvmitError:
    return unit


def stream_loader(
    stream: Stream,
    asked: tuple[bool, bool, Sequence[str]],
    options: BatchOptions,
    ahead: int,
    **loader: Any,
) -> StreamLoader:
    """Return a loader of a stream's batches, as `avmit.torch_loader` asks for it."""
    return StreamLoader(stream, stream.choose(*asked, options), options, ahead, **loader)
