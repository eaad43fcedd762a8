"""Batches as a `tf.data.Dataset`: `avmit.tf_dataset`."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from avmit import AvmitError
from conversion.wording import printable
from experiments.extras import require
from experiments.feeding.batches.formats import formatter
from experiments.feeding.batches.iterable import AHEAD
from experiments.feeding.batches.maker import BatchMaker
from experiments.feeding.batches.memory import Recycled
from experiments.feeding.batches.options import BatchOptions, Layout, OnLong
from experiments.feeding.loaders.choice import Choice, Names
from experiments.feeding.rows import rows

tf: Any = require("tensorflow", "avmit.tf_dataset")


def tf_dataset(
    source: Any,
    batch_size: int = 32,
    *,
    inputs: Names = ("audio", "visual"),
    targets: Names | None = "label",
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
    on_long: OnLong = "error",
) -> Any:
    """Return a `tf.data.Dataset` of batches, for `model.fit` and all else that takes one.

    Args:
        source: a `Dataset` or what `avmit.join` returns, as for `avmit.batches`.
        batch_size: rows a batch, and so on up to `on_long`: see `avmit.batches`.
        inputs: which entries of a batch go into the network, such as `audio`, `visual_mask` or a
            column; one name is a tensor by itself, several are a dict.
        targets: which are its targets, in the same way; None for inputs alone.

    Returns:
        A dataset of (inputs, targets) with a full `element_spec` and known cardinality. Each
        iteration over it is an epoch, in another order if it is shuffled.

    Raises:
        AvmitError: as `avmit.batches`; a name is not in a batch; or TensorFlow is not installed.
    """
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
        on_long=on_long,
    )
    choice = Choice(inputs, targets)
    maker = BatchMaker(rows(source, audio, visual, columns), options)
    specs = _specs(maker)
    choice.check(list(specs))
    made = _Batches(maker, specs, choice).dataset()
    return made.apply(tf.data.experimental.assert_cardinality(len(maker))).prefetch(AHEAD)


class _Batches:
    """Makes batches by (epoch, position), of which TensorFlow gets what was chosen.

    An iteration is of the next epoch once the last batch of the one before was made.
    """

    def __init__(self, maker: BatchMaker, specs: dict[str, Any], choice: Choice):
        self._maker = maker
        self._specs = {name: specs[name] for name in choice.names}
        self._choice = choice
        self._formatter = formatter("numpy")
        self._new = Recycled()
        self._epoch = maker.options.epoch

    def dataset(self) -> Any:
        """Return the dataset."""
        count = len(self._maker)

        def epoch() -> Iterator[int]:
            yield self._epoch

        def positions(epoch: Any) -> Any:
            return tf.data.Dataset.range(count).map(lambda position: (epoch, position))

        one = tf.data.Dataset.from_generator(epoch, output_signature=tf.TensorSpec([], tf.int64))
        return one.flat_map(positions).map(self._batch)

    def _batch(self, epoch: Any, position: Any) -> Any:
        kinds = [kind for _, _, kind in self._parts()]
        tensors = tf.numpy_function(self._make, [epoch, position], kinds)
        came = {}
        for (name, shape, _), tensor in zip(self._parts(), tensors, strict=True):
            tensor.set_shape(shape)
            came[name] = tensor
        batch = {
            name: tf.RaggedTensor.from_row_splits(
                came[f"{name}_values"], came[f"{name}_offsets"], validate=False
            )
            if isinstance(spec, tf.RaggedTensorSpec)
            else came[name]
            for name, spec in self._specs.items()
        }
        return self._choice.of(batch)

    def _parts(self) -> Iterator[tuple[str, list[int | None], Any]]:
        """Yield name, shape and type of each tensor that is handed over."""
        for name, spec in self._specs.items():
            if isinstance(spec, tf.RaggedTensorSpec):
                yield f"{name}_values", [None, spec.shape[-1]], spec.dtype
                yield f"{name}_offsets", [None], tf.int64
            else:
                yield name, spec.shape, spec.dtype

    def _make(self, epoch: Any, position: Any) -> list[Any]:
        seed = self._maker.options.seed
        batch = self._maker.make(seed, int(epoch), int(position), self._formatter, self._new)
        if position == len(self._maker) - 1:
            self._epoch = int(epoch) + 1
        return [
            _as_text(name, batch[name]) if kind == tf.string else batch[name]
            for name, _, kind in self._parts()
        ]


def _as_text(name: str, values: list[Any]) -> Any:
    """Return text as TensorFlow takes it, which has nothing for what is missing."""
    for value in values:
        if not isinstance(value, (str, bytes)):
            raise AvmitError(
                f"'{printable(name)}' has {printable(repr(value))} in a row, and TensorFlow takes "
                "numbers and text alone: fill it, or name other inputs and targets"
            )
    return np.array([v.encode() if isinstance(v, str) else v for v in values], object)


def _specs(maker: BatchMaker) -> dict[str, Any]:
    """Describe the entries of a batch."""
    options, widths = maker.options, maker.rows.widths
    size = options.batch_size if options.drop_last else None
    specs: dict[str, Any] = {}
    for name, width in widths.items():
        if options.layout == "jagged":
            shape = [size, None, width]
            specs[name] = tf.RaggedTensorSpec(shape, tf.float32, 1, tf.int64)
            continue
        specs[name] = tf.TensorSpec([size, options.timesteps, width], tf.float32)
        specs[f"{name}_lengths"] = tf.TensorSpec([size], tf.int64)
        specs[f"{name}_mask"] = tf.TensorSpec([size, options.timesteps], tf.bool)
    for name, values in maker.rows.take(np.arange(0)).values.items():
        kind = tf.as_dtype(values.dtype) if isinstance(values, np.ndarray) else tf.string
        specs[name] = tf.TensorSpec([size], kind)
    return specs
