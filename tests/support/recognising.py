"""Packages whose classes can be told apart, and checkpoints as the authors' Keras wrote them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from avmit import TEST_CLASSES, embedding_features
from conversion.package.schema import arrow_schema
from conversion.package.writer import list_array
from support.feeding import write_shard

WIDTHS = (6, 5)
CONFIG = "tiny"
STEPS = {"audio": (5, 7), "visual": (6, 8)}
CELLS = {"simple": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}
UNITS, BOTTLENECK = 7, 4


def write_package(
    folder: Path,
    *,
    train: int = 12,
    test: int = 60,
    widths: tuple[int, int] = WIDTHS,
    labels: Sequence[str] = TEST_CLASSES,
    shuffled: bool = False,
    config: str = CONFIG,
    bad: float | None = None,
) -> Path:
    """Write a package of a config whose classes lie apart, `train` and `test` videos of each.

    Where `shuffled`, labels have nothing to do with values; `bad` replaces one value of training.
    """
    (folder / config).mkdir(parents=True)
    for seed, (split, each) in enumerate({"train": train, "test": test}.items()):
        table = _table(
            split, each, seed, widths, labels, shuffled, bad if split == "train" else None
        )
        write_shard(folder / config / f"{split}-00000-of-00001.arrow", table, batch_rows=64)
    return folder


def _table(
    split: str,
    each: int,
    seed: int,
    widths: tuple[int, int],
    labels: Sequence[str],
    shuffled: bool,
    bad: float | None,
) -> pa.Table:
    generator = np.random.default_rng(seed)
    count = each * len(labels)
    label = [row % len(labels) for row in range(count)]
    names = [f"{labels[n]}/yt-{split[1]}{row:010d}_{row % 60}" for row, n in enumerate(label)]
    schema = arrow_schema(embedding_features(*widths, labels))
    texts = {
        "filename": [f"{name}.mp4" for name in names],
        "MIT_label": [labels[n] for n in label],
        "video_location": ["training"] * count,
        "tfrecord_filename": [f"{name}.tfrecord" for name in names],
    }
    columns = {name: pa.array(values) for name, values in texts.items()}
    columns["label"] = pa.array(label, pa.int64())
    for number in (1, 2, 3):
        columns[f"r{number}"] = pa.array(np.full(count, 3 * (number == 3)), pa.int64())
    shown = generator.permutation(label) if shuffled else np.array(label)
    for place, (name, steps) in enumerate(STEPS.items()):
        centres = np.random.default_rng(100 + place).standard_normal((len(labels), widths[place]))
        lengths = generator.integers(*steps, count)
        values = generator.standard_normal((int(lengths.sum()), widths[place])) / 4
        values = (values + np.repeat(centres[shown], lengths, 0)).astype(np.float32)
        if bad is not None and name == "audio":
            values[0, 0] = bad
        columns[name] = list_array(values, lengths.tolist())
    arrays = [columns[name] for name in schema.names]
    return pa.Table.from_batches([pa.RecordBatch.from_arrays(arrays, schema=schema)])


def published_model(
    cell: str, widths: tuple[int, int] = WIDTHS, classes: int = 16, task: str = "recognition"
) -> Any:
    """Build a network as the authors' graph is, with seeded weights that no layer begins with."""
    import tensorflow as tf
    import tf_keras as keras

    keras.backend.clear_session()
    wrapped, layers = keras.layers.TimeDistributed, keras.layers
    inputs = [keras.Input((7, width)) for width in widths]
    branches = []
    for tensor in inputs:
        if task == "recognition":
            tensor = layers.Reshape((7, 1, 1, -1))(tensor)
            tensor = wrapped(layers.Conv2D(BOTTLENECK, 1))(tensor)
            tensor = wrapped(layers.BatchNormalization())(tensor)
            tensor = wrapped(layers.Activation("swish"))(tensor)
            branches.append(wrapped(layers.GlobalAveragePooling2D())(tensor))
        else:
            for _ in range(2):
                tensor = wrapped(layers.Dense(128))(tensor)
            unit = layers.Lambda(lambda x: tf.math.l2_normalize(x, axis=1))
            branches.append(wrapped(unit)(tensor))
    if task == "recognition":
        joined = layers.concatenate(branches, axis=2)
    else:
        joined = layers.Lambda(
            lambda two: tf.sqrt(
                tf.maximum(tf.reduce_sum((two[0] - two[1]) ** 2, -1, keepdims=True), 1e-7)
            )
        )(branches)
    state = getattr(layers, CELLS[cell])(UNITS, dropout=0.5)(joined)
    model = keras.Model(inputs, layers.Activation("softmax")(layers.Dense(classes)(state)))
    generator = np.random.default_rng(3)
    weights = []
    for variable in model.weights:  # not what layers begin with: Keras draws that anew each time
        spread = 0.8 if variable.shape.rank > 1 else 0.1
        drawn = generator.standard_normal(variable.shape) * spread
        ones = "variance" in variable.name or "gamma" in variable.name
        weights.append(drawn + ones)
    model.set_weights(weights)
    return model


def write_checkpoint(
    folder: Path,
    model: Any,
    cell: str,
    widths: tuple[int, int] = WIDTHS,
    labels: Sequence[str] | None = TEST_CLASSES,
    **changed: Any,
) -> Path:
    """Write what the authors publish of a network: checkpoint and train.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(str(folder / "weights.07-0.31.ckpt"), save_format="tf")
    document: dict[str, Any] = {
        "rnn": {"function": f"tf.keras.layers.{CELLS[cell]}", "units": UNITS, "dropout": 0.5},
        "audio": True,
        "visual": True,
        "bottleneck_size": BOTTLENECK,
        "bottleneck_activation": "swish",
        "data": {
            "VGG_style": {"enabled": False, "audio_size": 128, "visual_size": 512},
            "mobilenet_style": {
                "enabled": True,
                "audio_size": widths[0],
                "visual_size": widths[1],
            },
            "timesteps": 7,
        },
    }
    if labels is not None:
        document["label_to_int"] = {name: number for number, name in enumerate(labels)}
    (folder / "train.yaml").write_text(yaml.safe_dump({**document, **changed}))
    return folder


def padded_rows(widths: tuple[int, int] = WIDTHS, rows: int = 20) -> tuple[Any, Any]:
    """Return seeded audio and visual, (rows, 7, width), zero-padded."""
    generator = np.random.default_rng(11)
    out = []
    for width, (low, high) in zip(widths, STEPS.values(), strict=True):
        values = generator.standard_normal((rows, 7, width)).astype(np.float32)
        values[np.arange(7) >= generator.integers(low, high, rows)[:, None]] = 0
        out.append(values)
    return out[0], out[1]
