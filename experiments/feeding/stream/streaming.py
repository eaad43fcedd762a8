"""Rows and batches read by ranges, in order or shuffled: `avmit.stream`."""

import os
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from avmit import AvmitError
from experiments.feeding.batches import BatchOptions
from experiments.feeding.batches.iterable import AHEAD as BATCHES_AHEAD
from experiments.feeding.batches.options import Format, Layout, OnLong, whole_number
from experiments.feeding.batches.position import Epochs, Position
from experiments.feeding.rows import Taken
from experiments.feeding.rows.choice import Column, choose_columns
from experiments.feeding.rows.columns import is_embedding
from experiments.feeding.stream.batches import StreamedBatches
from experiments.feeding.stream.fetch import Fetcher
from experiments.feeding.stream.opened import OpenUnit, opened, parts
from experiments.feeding.stream.split import Split, open_split
from experiments.feeding.stream.unindexed import OF_BATCHES, unindexed
from experiments.feeding.stream.units import WINDOW, Units

AHEAD = 16
"""Record batches on their way at once, of 4 MiB each: with eight, a link of 100 ms was idle."""

_ROWS = 32
"""Rows that are taken of a unit at a time."""


class Stream(Epochs):
    """The rows of a split, each time it is iterated over in the order of an epoch of its own.

    Made by `avmit.stream`. A row is a dict: for each embedding column a float32 array (T, D), for
    any other one its value. `state_dict` counts rows. `avmit.batches` and `avmit.torch_loader` make
    batches of it.
    """

    _counts = "rows"

    def __init__(
        self, split: Split, columns: Sequence[str], units: Units, at: Position, ahead: int
    ):
        super().__init__(at.seed, at.epoch)
        self.split = split
        self.columns = tuple(columns)
        self.units = units
        self.ahead = ahead
        Fetcher(split, self.columns)  # tells now what would fail later

    @property
    def features(self) -> Any:
        """The columns as `datasets` describes them; `features["label"].names` are the classes."""
        every = self.split.features
        return type(every)({name: every[name] for name in self.columns})

    def __len__(self) -> int:
        """Return how many rows the next iteration gives."""
        return self._most(self._next())

    def _most(self, at: Position) -> int:
        return int(self.units.bounds(at.seed, at.epoch)[-1])

    def __iter__(self) -> Generator[dict[str, Any], None, None]:
        return self._through(self._from)

    def _from(self, at: Position) -> Iterator[dict[str, Any]]:
        wide = self.wide
        others = [name for name in self.columns if name not in wide]
        start, units = self.open(at, at.position, wide, others)
        for taken in parts(units, start, _ROWS):
            yield from _rows(taken, self.columns)
        self.settle()

    def settle(self) -> None:
        """See what has come of shards that are kept, when an epoch begins or has ended."""
        self.split.source.settle()

    @property
    def wide(self) -> list[str]:
        """The names of the embedding columns."""
        return [name for name in self.columns if is_embedding(self.split.schema.field(name).type)]

    def open(
        self, at: Position, row: int, embeddings: Sequence[str], others: Sequence[str]
    ) -> tuple[int, Iterator[OpenUnit]]:
        """Fetch the units of an epoch from the one on that holds the rank's row `row`.

        Returns:
            Where in the first unit the row is, and the units.
        """
        self.settle()
        fetcher = Fetcher(self.split, [*embeddings, *others])
        first, within, count = self.units.at(at.seed, at.epoch, row)
        units = (self.units.unit(at.seed, at.epoch, number) for number in range(first, count))
        return within, opened(units, fetcher, embeddings, others, self.ahead)

    def batches(
        self,
        audio: bool,
        visual: bool,
        columns: Sequence[str],
        options: BatchOptions,
        ahead: int,
    ) -> StreamedBatches:
        """Return batches of the rows, as `avmit.batches` asks for them.

        Raises:
            AvmitError: the order is not the stream's own, or a column is not there.
        """
        embeddings, others = self.choose(audio, visual, columns, options)
        return StreamedBatches(self, embeddings, others, options, ahead)

    def choose(
        self, audio: bool, visual: bool, columns: Sequence[str], options: BatchOptions
    ) -> tuple[list[str], list[str]]:
        """Return the embedding columns and the others that batches are made of."""
        if options.shuffle or options.world_size > 1:
            raise AvmitError(
                "a stream has its order and ranks from avmit.stream: give shuffle=, rank= and "
                "world_size= there"
            )
        there = {name: Column(self.split.schema.field(name).type, name) for name in self.columns}
        return choose_columns(there, audio, visual, columns)

    def __repr__(self) -> str:
        return f"Stream({len(self)} rows of {self.split.source.name}: {', '.join(self.columns)})"


def _rows(taken: Taken, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    # A number of NumPy's would be a tensor of another kind to a collate function.
    values = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in taken.values.items()}
    every = {**taken.embeddings, **values}
    for row in zip(*(every[name] for name in columns), strict=True):
        yield dict(zip(columns, row, strict=True))


def stream(
    config: str = "yamnet_effnet",
    split: str = "train",
    *,
    data_dir: Any = None,
    columns: Sequence[str] | None = None,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
    batch_size: int | None = None,
    timesteps: int | None = None,
    layout: Layout = "padded",
    drop_last: bool = False,
    format: Format = "numpy",
    on_long: OnLong = "error",
    ahead: int = AHEAD,
    window: int = WINDOW,
    revision: str | None = None,
    keep: str | os.PathLike[str] | None = None,
) -> Any:
    """Read a split from where it lies by ranges of bytes, in order or shuffled.

    Args:
        config: an embedding config, or any other of the package.
        split: `train` or `test`.
        data_dir: a Hub repository such as `user/avmit`, an address that fsspec knows such as
            `s3://bucket/avmit`, or a folder; by default AVMIT_HOME, then ./avmit.
        columns: the columns to fetch, and no others' bytes; by default all, or for batches the
            embeddings and the label.
        shuffle: whether each epoch has an order of its own, which (seed, epoch) tells: record
            batches in random order over all shards, rows mixed within `window` of them.
        seed: of the order.
        epoch: the first one.
        rank: which of `world_size` processes this is: record batches go to them in turn.
        world_size: how many share an epoch.
        batch_size: rows a batch; None for rows.
        timesteps: of batches, and so on up to `on_long`: see `avmit.batches`.
        ahead: how many record batches are fetched at once, ahead of their use. Memory is theirs and
            those of one window.
        window: record batches among which rows are mixed.
        revision: a branch, tag or commit on the Hub; by default main as it is now. The stream stays
            with that commit.
        keep: a folder in which to keep what comes, so that it is fetched once only, by this and
            later runs; `avmit prefetch REPO --out FOLDER` fetches the rest and makes a package of
            it. Not for a package in a folder. Where the disk gets full, a UserWarning says so and
            the stream goes on.

    Returns:
        An iterable with `len` of rows, or of batches as `avmit.batches` gives them; with
        `set_epoch`, `state_dict` and `load_state_dict`. A package without index.json, and Parquet,
        come by `avmit.load(..., streaming=True)`, as a UserWarning says.

    Raises:
        AvmitError: no package, config, split or column of that name, an option is out of its
            range, or what is there makes no sense. While iterating: it cannot be read, or other
            bytes came than the index says.
    """
    window, ahead = whole_number("window", window, 1), whole_number("ahead", ahead, 1)
    ordered = BatchOptions(
        shuffle=shuffle, seed=seed, epoch=epoch, rank=rank, world_size=world_size
    )
    batched = None
    if batch_size is None:
        _refuse(timesteps=timesteps, layout=layout, drop_last=drop_last, format=format)
    else:
        batched = BatchOptions(
            batch_size=batch_size,
            timesteps=timesteps,
            layout=layout,
            drop_last=drop_last,
            format=format,
            on_long=on_long,
        )
    if isinstance(columns, str):
        raise AvmitError(f'columns={columns!r} is a string: write columns=["{columns}"]')
    found = open_split(data_dir, config, split, revision, keep)
    if found is None:
        if keep is not None:
            raise AvmitError(
                f"'{config}' has no index.json, by which parts of it could be kept: leave keep= "
                "out, or make an index with `avmit index` and push it"
            )
        return unindexed(config, split, data_dir, revision, columns, ordered, batched)
    there = list(found.index.columns)
    if columns is None and batched:
        columns = [name for name in OF_BATCHES if name in there]
    chosen = there if columns is None else _known(columns, there)
    units = Units(found.rows, shuffle, rank, world_size, window)
    made = Stream(found, chosen, units, Position(seed, epoch), ahead)
    if batched is None:
        return made
    others = [name for name in chosen if name not in made.wide]
    return made.batches("audio" in chosen, "visual" in chosen, others, batched, BATCHES_AHEAD)


def _refuse(**given: Any) -> None:
    """Tell that rows have none of the options of batches.

    Raises:
        AvmitError: one of them is given.
    """
    usual = BatchOptions()
    for name, value in given.items():
        if value != getattr(usual, name):
            raise AvmitError(f"{name}= is of batches: give batch_size= too")


def _known(columns: Sequence[str], there: Sequence[str]) -> list[str]:
    names = list(columns)
    unknown = [name for name in names if name not in there]
    if unknown or not names:
        shown = ", ".join(map(str, unknown)) or "()"
        raise AvmitError(f"no column {shown}; there are: {', '.join(there)}")
    if len(set(names)) < len(names):
        raise AvmitError(f"columns {', '.join(names)}: name each once")
    return names
