"""Batches of a dataset's rows as an iterable: `avmit.batches`."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import datasets

from experiments.feeding.batches.ahead import made_ahead
from experiments.feeding.batches.formats import formatter
from experiments.feeding.batches.maker import BatchMaker, Maker
from experiments.feeding.batches.options import (
    BatchOptions,
    Format,
    Layout,
    OnLong,
    whole_number,
)
from experiments.feeding.batches.position import Epochs, Position
from experiments.feeding.batches.streamed import StreamBatches
from experiments.feeding.rows import rows

AHEAD = 2
"""Batches that are made beforehand: with two, copying goes on while one is waited for or used."""


@runtime_checkable
class Batchable(Protocol):
    """What makes batches of its own, such as what `avmit.stream` returns."""

    def batches(
        self,
        audio: bool,
        visual: bool,
        columns: Sequence[str],
        options: BatchOptions,
        ahead: int,
    ) -> Epochs:
        """Return its batches."""


class Batches(Epochs):
    """An epoch of batches each time it is iterated over; made by `avmit.batches`, `avmit.pairs`."""

    def __init__(self, maker: Maker, ahead: int = AHEAD):
        super().__init__(maker.options.seed, maker.options.epoch)
        self._maker = maker
        self._ahead = ahead
        self._formatter = formatter(maker.options.format)

    def __len__(self) -> int:
        """Return how many batches an epoch has."""
        return len(self._maker)

    def _most(self, at: Position) -> int:
        return len(self)

    def __iter__(self) -> Generator[dict[str, Any], None, None]:
        return self._through(self._from)

    def _from(self, at: Position) -> Iterator[dict[str, Any]]:
        def make(position: int) -> dict[str, Any]:
            return self._maker.make(at.seed, at.epoch, position, self._formatter)

        return made_ahead(make, range(at.position, len(self)), self._ahead)

    def __repr__(self) -> str:
        options = self._maker.options
        return f"Batches({len(self)} of {options.batch_size}, {options.format}: {self._maker.rows})"


def batches(
    source: Any,
    batch_size: int = 32,
    *,
    audio: bool = True,
    visual: bool = True,
    columns: Sequence[str] = ("label",),
    timesteps: int | None = None,
    layout: Layout = "padded",
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
    format: Format = "numpy",
    on_long: OnLong = "error",
    ahead: int = AHEAD,
) -> Batches | StreamBatches | Epochs:
    """Put rows together into batches.

    Args:
        source: a `Dataset` of `avmit.load` or `load_dataset`, also after select, shuffle, filter
            and so on; what `avmit.join` returns; or a stream. Of one of `datasets` the rows come in
            the order that it gives the epoch.
        batch_size: rows a batch; the last one of an epoch may have fewer.
        audio: whether to take the audio embeddings.
        visual: whether to take the visual ones.
        columns: the other columns to take.
        timesteps: how many each row is padded to, such as the paper's 7; None for those of the
            longest row of the batch, column by column.
        layout: `padded`, or `jagged` with no padding.
        shuffle: whether each epoch has an order of its own, which (seed, epoch) tells.
        seed: of the order.
        epoch: the first one.
        drop_last: leave out what would not be a full batch, and the same number on each rank.
        rank: which of `world_size` processes this is: the batches go to them in turn.
        world_size: how many share an epoch.
        format: `numpy`, `torch`, `tensorflow` or `jax`.
        on_long: what to do with a row that has more than `timesteps`: `error`, or `truncate` it.
        ahead: how many batches are made beforehand, in a thread; 0 for none.

    Returns:
        An iterable with `len` of dicts. Padded, for each embedding column such as `audio`:
        `audio` (B, T, D) float32 with zeros after a row's end, `audio_lengths` (B,) int64 and
        `audio_mask` (B, T), true where a timestep is. Jagged: for torch and tensorflow one nested
        or ragged tensor, else `audio_values` (sum of T, D) and `audio_offsets` (B + 1,) int64.
        Of `columns`, numbers as an array, all else as a list. Where some are missing, as a join
        leaves them, numbers are floats in all batches (of a stream, in those), NaN for a missing
        one.
        Also `set_epoch`, `state_dict` and `load_state_dict`.

    Raises:
        AvmitError: an option is out of its range, or a column is not there. While iterating: a row
            is too long, or a file was replaced.
    """
    ahead = whole_number("ahead", ahead, 0)
    options = BatchOptions(
        batch_size=batch_size,
        timesteps=timesteps,
        layout=layout,
        shuffle=shuffle,
        seed=seed,
        epoch=epoch,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
        format=format,
        on_long=on_long,
    )
    if isinstance(source, Batchable):
        return source.batches(audio, visual, columns, options, ahead)
    if isinstance(source, datasets.IterableDataset):
        return StreamBatches(source, (audio, visual, columns), options, ahead)
    return Batches(BatchMaker(rows(source, audio, visual, columns), options), ahead)
