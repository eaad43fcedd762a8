"""Batches as a `tf.data.Dataset`: `avmit.tf_dataset`."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from experiments.extras import require
from experiments.feeding.batches.iterable import AHEAD, Batches
from experiments.feeding.batches.maker import BatchMaker
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
        format="numpy" if layout == "padded" else "tensorflow",
        on_long=on_long,
    )
    choice = Choice(inputs, targets)
    maker = BatchMaker(rows(source, audio, visual, columns), options)
    specs = _specs(maker)
    choice.check(list(specs))
    batches = Batches(maker, ahead=0)  # tf.data makes the next ones in a thread of its own

    def generate() -> Iterator[Any]:
        return map(choice.of, batches)

    made = tf.data.Dataset.from_generator(generate, output_signature=choice.of(specs))
    return made.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(AHEAD)


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
