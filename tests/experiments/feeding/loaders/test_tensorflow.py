"""`avmit.tf_dataset` is a `tf.data.Dataset` that TensorFlow and Keras train on."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from support.feeding import (
    SOME,
    assert_array,
    in_batches,
    in_memory,
    made_rows,
    padded,
    videos,
)

import avmit

tf: Any = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
keras: Any = pytest.importorskip("keras", reason="Keras is not installed")
COLUMNS = ("label", "filename", "r3")
FULL = [(1 + n % 3, 1 + (5 * n) % 6) for n in range(23)]


def dataset_of(**options: Any) -> Any:
    return avmit.tf_dataset(in_memory(SOME), 4, columns=COLUMNS, **options)


def names_of(dataset: Any) -> list[list[str]]:
    return [[name.decode() for name in names.numpy()] for names in dataset]


def test_batches_are_those_of_a_loop() -> None:
    dataset = dataset_of(
        inputs=("audio", "visual", "audio_mask", "visual_lengths", "filename"),
        targets=("label", "r3"),
    )
    kept = list(dataset)
    assert len(list(dataset)) == len(kept)  # whose memory is not that of batches that are in use
    for (inputs, targets), rows in zip(kept, in_batches(made_rows(SOME), 4), strict=True):
        for name in ("audio", "visual"):
            assert_array(inputs[name].numpy(), padded(rows, name))
        lengths = [len(row["audio"]) for row in rows]
        assert inputs["audio_mask"].numpy().sum(1).tolist() == lengths
        assert inputs["visual_lengths"].numpy().tolist() == [len(row["visual"]) for row in rows]
        assert [n.decode() for n in inputs["filename"].numpy()] == [r["filename"] for r in rows]
        for name in ("label", "r3"):
            assert targets[name].numpy().tolist() == [row[name] for row in rows]


def test_jagged_batches() -> None:
    dataset = dataset_of(layout="jagged", inputs="visual")
    assert dataset.element_spec == (
        tf.RaggedTensorSpec([None, None, 2], tf.float32, 1, tf.int64),
        tf.TensorSpec([None], tf.int64),
    )
    kept = list(dataset)
    assert len(list(dataset)) == len(kept)
    for (visual, label), rows in zip(kept, in_batches(made_rows(SOME), 4), strict=True):
        assert visual.to_list() == [row["visual"].tolist() for row in rows]
        assert label.numpy().tolist() == [row["label"] for row in rows]


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        (
            {},
            (
                {"audio": ([None, None, 3], "float32"), "visual": ([None, None, 2], "float32")},
                ([None], "int64"),
            ),
        ),
        (
            {"timesteps": 7, "drop_last": True, "inputs": "audio", "targets": None},
            ([4, 7, 3], "float32"),
        ),
        (
            {"inputs": ["visual_mask", "filename"], "targets": ["visual_lengths"]},
            (
                {"visual_mask": ([None, None], "bool"), "filename": ([None], "string")},
                {"visual_lengths": ([None], "int64")},
            ),
        ),
    ],
)
def test_the_element_spec_is_full(options: dict[str, Any], spec: Any) -> None:
    found = tf.nest.map_structure(
        lambda one: (one.shape.as_list(), one.dtype.name),
        dataset_of(on_long="truncate", **options).element_spec,
    )
    assert found == spec


def test_it_knows_how_many_batches_there_are() -> None:
    assert int(dataset_of().cardinality()) == len(dataset_of()) == 6
    assert len(dataset_of(drop_last=True, rank=1, world_size=2)) == 2
    assert len(list(dataset_of(drop_last=True, rank=1, world_size=2))) == 2


def test_each_iteration_is_an_epoch() -> None:
    options: dict[str, Any] = {"inputs": "filename", "targets": None, "shuffle": True, "seed": 2}
    epochs = [
        videos(
            avmit.batches(
                in_memory(SOME), 4, columns=["filename"], shuffle=True, seed=2, epoch=epoch
            )
        )
        for epoch in range(3)
    ]
    dataset = dataset_of(**options)
    assert [names_of(dataset) for _ in range(3)] == epochs
    # Counted, too, with nothing asked for after the last batch.
    dataset = dataset_of(**options)
    counted = []
    for _ in range(3):
        coming = iter(dataset)
        counted.append(names_of([next(coming) for _ in range(len(dataset))]))
    assert counted == epochs
    assert names_of(dataset_of(**options, epoch=2)) == epochs[2]
    assert names_of(dataset_of(**options).repeat(3)) == [batch for e in epochs for batch in e]


def test_it_goes_on_with_operations_of_tf_data() -> None:
    dataset = dataset_of(inputs="r3", targets=None).unbatch().filter(lambda n: n % 2 == 0).batch(5)
    assert [batch.numpy().tolist() for batch in dataset] == [
        [0, 2, 4, 6, 8],
        [10, 12, 14, 16, 18],
        [20, 22],
    ]


def network_of(widths: dict[str, int]) -> Any:
    keras.utils.set_random_seed(1)
    inputs = {name: keras.Input((None, width), name=name) for name, width in widths.items()}
    means = [
        keras.layers.GlobalAveragePooling1D()(keras.ops.mod(i / 1000, 4)) for i in inputs.values()
    ]
    both = means[0] if len(means) == 1 else keras.layers.Concatenate()(means)
    hidden = keras.layers.Dense(32, activation="tanh")(both)
    network = keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(hidden))
    network.compile(
        keras.optimizers.Adam(3e-2), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return network


def test_keras_fits_evaluates_and_predicts() -> None:
    network = network_of({"audio": 3, "visual": 2})
    ds = in_memory(FULL)
    train = avmit.tf_dataset(ds, 4, shuffle=True)
    history = network.fit(train, validation_data=avmit.tf_dataset(ds, 8), epochs=15, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert len(history.history["val_accuracy"]) == 15
    whole = network.predict(avmit.tf_dataset(ds, 5, targets=None), verbose=0)
    rows = made_rows(FULL)
    arrays = {name: padded(rows, name) for name in ("audio", "visual")}
    assert whole.shape == (23, 4)
    # Padding has a part in means, so only of a batch as long as all can the same be expected.
    again = network.predict(arrays, batch_size=23, verbose=0)
    once = network.predict(avmit.tf_dataset(ds, 23, targets=None), verbose=0)
    assert np.allclose(once, again, atol=1e-6)


def test_keras_takes_one_input() -> None:
    network = network_of({"visual": 2})
    data = avmit.tf_dataset(in_memory(FULL), 4, inputs=["visual"], audio=False, timesteps=6)
    losses = network.fit(data, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_keras_goes_through_epochs_as_they_are_counted() -> None:
    """In `fit`, which never asks for a batch after the last, each epoch has another order."""
    seen: list[list[int]] = []

    class See(keras.Model):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            tf.py_function(lambda n: seen.append(n.numpy().tolist()), [data], [])
            return {"loss": tf.constant(0.0)}

    network = See()
    network.compile("sgd")
    network.built = True
    data = dataset_of(inputs="r3", targets=None, shuffle=True, seed=2)
    network.fit(data, epochs=3, verbose=0)
    expected = [
        [int(name[6:-4]) for name in batch]
        for epoch in range(3)
        for batch in videos(
            avmit.batches(
                in_memory(SOME), 4, columns=["filename"], shuffle=True, seed=2, epoch=epoch
            )
        )
    ]
    assert seen == expected


def test_the_sets_of_a_release(package: Path) -> None:
    ds = avmit.load("vggish_vgg16", "test", data_dir=package)
    ((inputs, label),) = avmit.tf_dataset(ds, 16, timesteps=7)
    assert inputs["audio"].shape == (16, 7, 128)
    assert inputs["visual"].shape == (16, 7, 512)
    assert label.numpy().tolist() == list(ds["label"])


THERE = "audio, audio_lengths, audio_mask, visual, visual_lengths, visual_mask, label, filename, r3"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"inputs": "sound"}, f"inputs='sound': a batch has no 'sound'; it has: {THERE}"),
        (
            {"inputs": ["audio", "touch", "r1"]},
            f"inputs=['audio', 'touch', 'r1']: a batch has no 'touch', 'r1'; it has: {THERE}",
        ),
        ({"targets": "class"}, f"targets='class': a batch has no 'class'; it has: {THERE}"),
        ({"inputs": ()}, f"inputs=(): a batch has no such; it has: {THERE}"),
        (
            {"layout": "jagged", "inputs": "audio_mask"},
            "inputs='audio_mask': a batch has no 'audio_mask'; it has: audio, visual, label, "
            "filename, r3",
        ),
        ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 on"),
        ({"rank": -1}, "rank=-1: it is a whole number from 0 on"),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.tf_dataset(in_memory(SOME), **{"columns": COLUMNS, **options})
    assert str(error.value) == said


def test_text_and_what_is_none() -> None:
    values = pa.table(
        {
            "name": ["ü", ""],
            "data": [b"\0\xff", b""],
            "gaps": pa.array(["a", None]),
            "list": [[1], [2]],
            "votes": pa.array([1, None]),
        }
    )
    ds = datasets.Dataset(values)

    def taken(name: str) -> Any:
        options: Any = {"audio": False, "visual": False, "columns": values.schema.names}
        (batch,) = avmit.tf_dataset(ds, inputs=name, targets=None, **options)
        return batch.numpy().tolist()

    assert taken("name") == ["ü".encode(), b""]
    assert taken("data") == [b"\0\xff", b""]
    assert repr(taken("votes")) == "[1.0, nan]"
    for name, value in (("gaps", "None"), ("list", "[1]")):
        with pytest.raises(tf.errors.UnknownError) as error:
            taken(name)
        assert (
            f"AvmitError: '{name}' has {value} in a row, and TensorFlow takes numbers and text "
            "alone: fill it, or name other inputs and targets"
        ) in str(error.value)


def test_a_stream_is_refused() -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.tf_dataset(in_memory(SOME).to_iterable_dataset())
    assert str(error.value) == (
        "a stream has no row numbers: give it to avmit.batches, or load it whole"
    )


def test_a_row_that_is_too_long_is_told_by_tensorflow() -> None:
    with pytest.raises(tf.errors.UnknownError) as error:
        list(dataset_of(timesteps=4))
    assert "AvmitError: visual of row 1 has 5 timesteps, more than timesteps=4: " in str(
        error.value
    )
