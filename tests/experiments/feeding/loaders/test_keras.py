"""`avmit.keras_dataset` is a PyDataset that Keras trains on, with any backend."""

from typing import Any

import numpy as np
import pytest
from support.feeding import (
    SOME,
    apart,
    assert_array,
    in_batches,
    in_memory,
    made_rows,
    padded,
    videos,
)

import avmit

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
keras: Any = pytest.importorskip("keras", reason="Keras is not installed")
COLUMNS = ("label", "filename", "r3")
UNEVEN = [(3, 6 if n < 8 else n % 3) for n in range(23)]
"""Batches of which the first ones are longer than those that follow."""


def dataset_of(**options: Any) -> Any:
    return avmit.keras_dataset(in_memory(SOME), 4, columns=COLUMNS, **options)


def order(epoch: int, seed: int = 2) -> list[list[str]]:
    return videos(
        avmit.batches(
            in_memory(SOME), 4, columns=["filename"], shuffle=True, seed=seed, epoch=epoch
        )
    )


@pytest.mark.parametrize("timesteps", [None, 6])
def test_batches_are_those_of_a_loop(timesteps: int | None) -> None:
    """Padded to the longest row of all, so that all have one shape, unless it is said."""
    data = dataset_of(timesteps=timesteps, inputs=["audio", "visual_mask"], targets=("r3", "label"))
    groups = in_batches(made_rows(SOME), 4)
    assert len(data) == data.num_batches == len(groups) == 6
    longest = {name: max(len(row[name]) for row in made_rows(SOME)) for name in ("audio", "visual")}
    for number, rows in enumerate(groups):
        inputs, targets = data[number]
        assert_array(inputs["audio"], padded(rows, "audio", timesteps or longest["audio"]))
        assert inputs["visual_mask"].shape == (len(rows), timesteps or longest["visual"])
        assert inputs["visual_mask"].sum(1).tolist() == [len(row["visual"]) for row in rows]
        assert targets["r3"].tolist() == [row["r3"] for row in rows]
        assert targets["label"].tolist() == [row["label"] for row in rows]
    for number in (-1, 6):
        with pytest.raises(IndexError) as error:
            data[number]
        assert str(error.value) == f"batch {number} of 6"


def test_the_longest_is_that_of_the_rows_that_are_given() -> None:
    ds = in_memory(UNEVEN).select(range(9, 23))
    (inputs, _) = avmit.keras_dataset(ds, 4)[0]
    assert inputs["visual"].shape == (4, 2, 2)
    assert avmit.keras_dataset(ds.select([]), 4).num_batches == 0


def test_it_says_what_it_is() -> None:
    assert isinstance(dataset_of(), keras.utils.PyDataset)
    assert repr(dataset_of()) == (
        "KerasDataset(6 of 4: Rows(23 rows: audio (T, 3), visual (T, 2), label, filename, r3))"
    )
    assert dataset_of(workers=3, max_queue_size=2).workers == 3


def network_of(widths: dict[str, int]) -> Any:
    keras.utils.set_random_seed(1)
    inputs = {name: keras.Input((None, width), name=name) for name, width in widths.items()}
    means = [
        keras.layers.GlobalAveragePooling1D()(keras.ops.mod(i / 1000, 4)) for i in inputs.values()
    ]
    hidden = keras.layers.Dense(32, activation="tanh")(keras.layers.Concatenate()(means))
    network = keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(hidden))
    network.compile(
        keras.optimizers.Adam(3e-2), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return network


@pytest.mark.parametrize("workers", [1, 2])
def test_keras_fits_evaluates_and_predicts(workers: int) -> None:
    network = network_of({"audio": 3, "visual": 2})
    ds = in_memory(UNEVEN)
    train = avmit.keras_dataset(ds, 4, shuffle=True, workers=workers)
    test = avmit.keras_dataset(ds, 8)
    history = network.fit(train, validation_data=test, epochs=15, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert train.epoch == 15
    predicted = network.predict(avmit.keras_dataset(ds, 5, targets=None), verbose=0)
    arrays = {name: padded(made_rows(UNEVEN), name) for name in ("audio", "visual")}
    assert np.allclose(predicted, network.predict(arrays, verbose=0), atol=1e-6)
    assert np.isfinite(network.evaluate(test, verbose=0)).all()


class Seen(keras.utils.PyDataset):  # type: ignore[misc]
    """Notes which rows come, and is otherwise what it is made of."""

    def __init__(self, data: Any):
        super().__init__()
        self.data = data
        self.seen: list[list[str]] = []
        self.on_epoch_begin = data.on_epoch_begin
        self.on_epoch_end = data.on_epoch_end

    @property
    def num_batches(self) -> int:
        return int(self.data.num_batches)

    def __len__(self) -> int:  # what Keras before 3.1 asks for
        return self.num_batches

    def __getitem__(self, number: int) -> Any:
        inputs, names = self.data[number]
        self.seen.append(names)
        return inputs, np.zeros(len(names), np.int64)


def seen_of(data: Any, **options: Any) -> list[list[str]]:
    network = network_of({"audio": 3, "visual": 2})
    seen = Seen(data)
    network.fit(seen, verbose=0, shuffle=False, **options)
    # Keras first takes the shapes of one batch or two: the epoch begins where the first comes last.
    return seen.seen[-1 - seen.seen[::-1].index(seen.seen[0]) :]


def test_each_epoch_has_an_order_of_its_own() -> None:
    data = dataset_of(targets="filename", shuffle=True, seed=2)
    assert seen_of(data, epochs=3) == [*order(0), *order(1), *order(2)]
    assert data.epoch == 3
    assert seen_of(dataset_of(targets="filename", shuffle=True, seed=2, epoch=2)) == order(2)


def test_an_epoch_may_take_several_of_keras() -> None:
    """With fewer steps than batches an epoch of rows is gone through before the next begins."""
    data = dataset_of(targets="filename", shuffle=True, seed=2)
    seen = seen_of(data, epochs=4, steps_per_epoch=3)
    # Keras 3.0 ends the fit where the batches that it counted at first are used up.
    assert len(seen) >= 10
    assert seen[:12] == [*order(0), *order(1)][: len(seen)]


TRAIN = """
import json, os, sys

import numpy as np

os.environ["KERAS_BACKEND"] = sys.argv[1]
import avmit
import keras
from support.feeding import in_memory

assert keras.backend.backend() == sys.argv[1]
if sys.argv[1] != "tensorflow":
    assert "tensorflow" not in sys.modules
UNEVEN = [(3, 6 if n < 8 else n % 3) for n in range(23)]


class Noting(avmit.keras_dataset(in_memory(UNEVEN)).__class__):
    def __getitem__(self, number):
        noted.append((self.epoch, number))
        return super().__getitem__(number)


noted = []
keras.utils.set_random_seed(1)
network = keras.Sequential(
    [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(4, activation="softmax")]
)
network.compile("adam", "sparse_categorical_crossentropy")
data = avmit.keras_dataset(in_memory(UNEVEN), 4, inputs="visual", audio=False, shuffle=True)
data.__class__ = Noting
losses = network.fit(data, epochs=3, verbose=0, shuffle=False).history["loss"]
assert np.isfinite(losses).all()
json.dump([noted, data.epoch], sys.stdout)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend: str) -> None:
    """A look at a batch, by which Keras builds a network, is not an epoch."""
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    noted, epoch = apart(TRAIN, backend, PYTHONPATH="tests")
    assert epoch == 3
    assert noted[0] == [0, 0]
    assert noted[1:] == [[epoch, number] for epoch in range(3) for number in range(6)]


def test_bad_options() -> None:
    there = "audio, audio_lengths, audio_mask, visual, visual_lengths, visual_mask, label"
    for options, said in (
        ({"inputs": "sound"}, f"inputs='sound': a batch has no 'sound'; it has: {there}"),
        ({"targets": ["r1"]}, f"targets=['r1']: a batch has no 'r1'; it has: {there}"),
        ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 on"),
    ):
        with pytest.raises(avmit.AvmitError) as error:
            avmit.keras_dataset(in_memory(SOME), **options)
        assert str(error.value) == said


@pytest.mark.parametrize("workers", [1, 2])
def test_a_row_that_is_too_long(workers: int) -> None:
    data = avmit.keras_dataset(in_memory(SOME), 4, timesteps=4, workers=workers)
    with pytest.raises(avmit.AvmitError) as error:
        network_of({"audio": 3, "visual": 2}).fit(data, verbose=0, shuffle=False)
    assert str(error.value) == (
        "visual of row 1 has 5 timesteps, more than timesteps=4: raise that, or pass "
        'on_long="truncate"'
    )
