"""Networks of the authors' are read as they are, whichever framework computes them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.places import REFERENCE, ROOT
from support.recognising import WIDTHS, padded_rows, published_model, write_checkpoint

import avmit
from experiments.recognise.networks.architecture import Architecture, initial_weights
from experiments.recognise.networks.frameworks import network

pytest.importorskip("tf_keras")
PAPER = REFERENCE / "paper" / "YamNet_EffNet_GRU_AVMIT"
needs_paper = pytest.mark.skipif(
    not PAPER.is_dir(), reason="no reference tree at ../shared/reference or AVMIT_REFERENCE"
)
FRAMEWORKS = ("keras", "torch")
LABELS = tuple(reversed(avmit.TEST_CLASSES))


def line(call: Any) -> str:
    with pytest.raises(avmit.AvmitError) as told:
        call()
    assert "\n" not in str(told.value)
    return str(told.value)


@needs_paper
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_authors_network_gives_what_it_gave_them(framework: Any) -> None:
    recogniser = avmit.recogniser(PAPER, framework)
    assert recogniser.labels == avmit.TEST_CLASSES
    with np.load(PAPER / "expected_predictions.npz") as expected:
        found = recogniser.predict(expected["audio"], expected["visual"])
        assert found.dtype == np.float32
        assert np.abs(found - expected["predictions"]).max() < 1e-5


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
@pytest.mark.parametrize("task", ["recognition", "correspondence"])
def test_what_keras_2_wrote_is_read(tmp_path: Path, cell: str, task: str, framework: Any) -> None:
    recognition = task == "recognition"
    model = published_model(cell, classes=16 if recognition else 2, task=task)
    folder = write_checkpoint(tmp_path, model, cell, labels=LABELS if recognition else None)
    audio, visual = padded_rows()
    recogniser = avmit.recogniser(folder, framework)
    assert recogniser.labels == (LABELS if recognition else ("incongruent", "congruent"))
    found = recogniser.predict(audio, visual)
    assert np.abs(found - model([audio, visual]).numpy()).max() < 1e-5
    assert recogniser.predict(audio[:0], visual[:0]).shape == (0, len(recogniser.labels))


def test_of_several_checkpoints_the_named_one_is_read(tmp_path: Path) -> None:
    first = published_model("gru")
    write_checkpoint(tmp_path, first, "gru")
    for path in tmp_path.glob("weights.07*"):
        (tmp_path / path.name.replace("07", "03")).write_bytes(path.read_bytes())
    assert len(avmit.recogniser(tmp_path).labels) == 16
    (tmp_path / "checkpoint").unlink()
    assert line(lambda: avmit.recogniser(tmp_path)) == (
        f"2 checkpoints in {tmp_path}, and no file 'checkpoint' that says which: leave one"
    )


def test_what_does_not_fit_its_description(tmp_path: Path) -> None:
    model = published_model("gru")
    write_checkpoint(tmp_path, model, "gru", widths=(9, 5))
    index = tmp_path / "weights.07-0.31.ckpt.index"
    assert line(lambda: avmit.recogniser(tmp_path)) == (
        f"{index}: audio_bottleneck.kernel is of shape (6, 4), and by train.yaml (9, 4)"
    )
    write_checkpoint(tmp_path, model, "gru", labels=avmit.TEST_CLASSES[:9])
    assert line(lambda: avmit.recogniser(tmp_path)) == (
        f"{index} has 16 classes, and train.yaml names 9"
    )
    write_checkpoint(tmp_path, model, "lstm")
    assert line(lambda: avmit.recogniser(tmp_path)).startswith(f"{index}: rnn.kernel is of shape")
    write_checkpoint(tmp_path, model, "gru", bottleneck_activation="relu")
    assert line(lambda: avmit.recogniser(tmp_path)) == (
        f"{tmp_path / 'train.yaml'}: bottleneck_activation 'relu', not swish"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no rnn"),
        ("rnn: 3", "it has no rnn.function"),
        ("rnn: {function: tf.keras.layers.Dense}", "rnn function Dense, not one of SimpleRNN"),
        ("[", "cannot be read"),
        ("\0", "cannot be read"),
    ],
)
def test_a_description_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "w.ckpt.index").touch()
    (tmp_path / "train.yaml").write_text(text)
    told = line(lambda: avmit.recogniser(tmp_path))
    assert told.startswith(str(tmp_path / "train.yaml"))
    assert said in told


def test_a_folder_without_a_network(tmp_path: Path) -> None:
    assert line(lambda: avmit.recogniser(tmp_path / "no")) == (
        f"no folder {tmp_path / 'no'}: name one with a checkpoint and its train.yaml"
    )
    assert line(lambda: avmit.recogniser(tmp_path)) == (
        f"no checkpoint (*.ckpt.index with its .data file) in {tmp_path}, nor a run of "
        "`avmit recognise --train`"
    )
    (tmp_path / "w.ckpt.index").touch()
    assert line(lambda: avmit.recogniser(tmp_path)).startswith(f"no train.yaml in {tmp_path}: ")


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, published_model("gru"), "gru")
    for name in ("weights.07-0.31.ckpt.data-00000-of-00001", "weights.07-0.31.ckpt.index"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:100])
        told = line(lambda: avmit.recogniser(tmp_path))
        assert told.startswith(str(tmp_path / "weights.07-0.31.ckpt.index"))
        assert told.endswith("fetch them again")


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    recogniser = avmit.recogniser(write_checkpoint(tmp_path, published_model("gru"), "gru"))
    audio, visual = padded_rows()
    assert line(lambda: recogniser.predict(audio)) == (
        f"{tmp_path} is a network of audio and visual, and was given audio"
    )
    assert line(lambda: recogniser.predict(audio[:, :5], visual)) == (
        f"audio is of shape (20, 5, 6), and {tmp_path} takes (B, 7, 6)"
    )
    assert line(lambda: recogniser.predict(audio[:3], visual)) == (
        "3 of audio and 20 of visual: both are of the same videos"
    )
    told = line(lambda: avmit.recogniser(tmp_path, "jax").predict(audio, visual))  # type: ignore[arg-type]
    assert told == "framework='jax': it is one of keras, torch"


@pytest.mark.parametrize("rnn", ["simple", "gru", "lstm"])
@pytest.mark.parametrize("task", ["recognition", "correspondence"])
def test_frameworks_agree_on_the_same_weights(rnn: Any, task: Any) -> None:
    sides = (("audio", WIDTHS[0]), ("visual", WIDTHS[1]))
    made = Architecture(task, sides, rnn, 9, 8, 5)
    weights = initial_weights(made, 4)
    batch = dict(zip(("audio", "visual"), padded_rows(), strict=True))
    keras, torch = (network(made, weights, framework) for framework in ("keras", "torch"))
    assert np.abs(keras.probabilities(batch) - torch.probabilities(batch)).max() < 1e-5
    for one in (keras, torch):
        kept = one.weights()
        assert list(kept) == list(weights)
        assert all(np.array_equal(kept[name], weights[name]) for name in weights)


GROWTH = """
import tensorflow as tf

from experiments.recognise.networks.architecture import Architecture, initial_weights
from experiments.recognise.networks.frameworks import network

made = Architecture("recognition", (("audio", 6),), "gru", 3, 2, 16)
network(made, initial_weights(made, 0), "keras")
growth = tf.config.experimental.get_memory_growth
print([growth(gpu) for gpu in tf.config.list_physical_devices("GPU")])
"""


def test_memory_of_gpus_is_taken_as_needed() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TF_FORCE_GPU_ALLOW_GROWTH"}
    environment |= {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", GROWTH]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    if ran.stdout == "[]\n":
        pytest.skip("no GPU")
    assert set(json.loads(ran.stdout.lower())) == {True}
