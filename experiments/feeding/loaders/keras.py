"""Batches as a Keras 3 `PyDataset`, for all its backends: `avmit.keras_dataset`."""

from collections.abc import Sequence
from typing import Any

from experiments.extras import require
from experiments.feeding.batches.formats import formatter
from experiments.feeding.batches.maker import BatchMaker
from experiments.feeding.batches.options import BatchOptions, OnLong
from experiments.feeding.loaders.choice import Choice, Names
from experiments.feeding.rows import rows

keras: Any = require("keras", "avmit.keras_dataset")

_ALWAYS_BEGUN = not hasattr(keras.utils.PyDataset, "on_epoch_begin")
"""Keras 3.5 is the first to say when an epoch begins."""


class KerasDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches by their number within an epoch; made by `avmit.keras_dataset`."""

    def __init__(self, maker: BatchMaker, choice: Choice, **options: Any):
        super().__init__(**options)
        self._maker = maker
        self._choice = choice
        self._formatter = formatter("numpy")
        self._begun = _ALWAYS_BEGUN
        self._made: set[int] = set()
        self.epoch = maker.options.epoch
        """The epoch that is gone through, or comes next."""

    @property
    def num_batches(self) -> int:
        """How many batches an epoch has."""
        return len(self._maker)

    def __len__(self) -> int:
        return len(self._maker)

    def __getitem__(self, number: int) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(f"batch {number} of {len(self)}")
        self._made.add(number)
        seed = self._maker.options.seed
        return self._choice.of(self._maker.make(seed, self.epoch, number, self._formatter))

    def on_epoch_begin(self) -> None:
        """Note that an epoch begins: Keras also ends what it has not begun."""
        self._begun = True

    def on_epoch_end(self) -> None:
        """Go on to the next epoch, if this one was gone through.

        It was not where Keras only looks at a batch, or was told a smaller `steps_per_epoch`. What
        other processes make is not seen here.
        """
        apart = self.use_multiprocessing and self.workers > 0
        if self._begun and (apart or len(self._made) == len(self)):
            self.epoch += 1
            self._made.clear()
        self._begun = _ALWAYS_BEGUN

    def __repr__(self) -> str:
        options = self._maker.options
        return f"KerasDataset({len(self)} of {options.batch_size}: {self._maker.rows})"


def keras_dataset(
    source: Any,
    batch_size: int = 32,
    *,
    inputs: Names = ("audio", "visual"),
    targets: Names | None = "label",
    audio: bool = True,
    visual: bool = True,
    columns: Sequence[str] = ("label",),
    timesteps: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
    on_long: OnLong = "error",
    **options: Any,
) -> KerasDataset:
    """Return a `keras.utils.PyDataset` of batches, which `model.fit` takes with any backend.

    Args:
        source: a `Dataset` or what `avmit.join` returns, as for `avmit.batches`.
        batch_size: rows a batch, and so on up to `on_long`: see `avmit.batches`. But `timesteps`:
            None is for those of the longest row of all, column by column, since Keras makes of the
            first batches how many the others may have.
        inputs: which entries of a batch go into the network, such as `audio`, `visual_mask` or a
            column; one name is an array by itself, several are a dict.
        targets: which are its targets, in the same way; None for inputs alone.
        **options: what `PyDataset` takes, such as `workers` or `max_queue_size`. With more than one
            worker, Keras 3 may give some batches twice and leave out others in the first epoch of a
            fit; without, a batch is made as fast as memory permits.

    Returns:
        A PyDataset of (inputs, targets), NumPy arrays. When all batches of an epoch were taken, the
        next one comes. `fit` shuffles the batches once more unless it is called with
        `shuffle=False`; the rows are shuffled here.

    Raises:
        AvmitError: as `avmit.batches`; a name is not in a batch; or Keras is not installed.
    """
    batch_options = BatchOptions(
        batch_size=batch_size,
        timesteps=timesteps,
        shuffle=shuffle,
        seed=seed,
        epoch=epoch,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
        on_long=on_long,
    )
    choice = Choice(inputs, targets)
    view = rows(source, audio, visual, columns)
    maker = BatchMaker(view, batch_options)
    choice.check(maker.entries)
    if timesteps is None:
        maker.timesteps = dict(view.longest())
    return KerasDataset(maker, choice, **options)
