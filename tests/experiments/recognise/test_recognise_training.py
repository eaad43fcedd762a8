"""`avmit recognise --train`: what is learned, written down, and gone on with after a kill."""

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.blocked import TENSORFLOW, run_without
from support.commands import Run
from support.recognising import CONFIG, write_package

import avmit
from experiments.recognise.networks.architecture import Architecture, initial_weights
from experiments.recognise.networks.frameworks import network
from experiments.recognise.networks.network import Optimizer

pytest.importorskip("torch")
SMALL: tuple[object, ...] = (
    *("--config", CONFIG, "--train", "--choice", "balanced", "--per-class", 10, "--validation", 2),
    *("--units", 12, "--bottleneck", 8, "--dropout", 0.2, "--batch-size", 16),
)
FAST = (*SMALL, "--learning-rate", 0.02)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose classes lie apart; never written to."""
    return write_package(tmp_path_factory.mktemp("training") / "avmit", test=4)


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_classes_that_lie_apart_are_learned(
    package: Path, run: Run, tmp_path: Path, framework: str
) -> None:
    pytest.importorskip(framework)
    pytest.importorskip("matplotlib")
    out = tmp_path / "run"
    ran = run(
        *("recognise", package, *FAST, "--epochs", 12, "--framework", framework),
        *("--out", out, "--figure", "confusion.png"),
    )
    assert (ran.code, ran.err) == (0, "")
    assert len([line for line in ran.out.splitlines() if line.startswith("epoch ")]) == 12
    assert ran.out.splitlines()[-1].endswith("of 12; 64 of 960 test videos")
    test = results(out)["test"]
    assert test["accuracy"] > 0.9
    assert test["rows"] == 64
    assert np.array(test["confusion"]).trace() / 64 == test["accuracy"]
    rows = metrics(out)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    losses = [float(row["val_loss"]) for row in rows]
    assert results(out)["kept_epoch"] == 1 + losses.index(min(losses))
    for name in (out / "curves.png", tmp_path / "confusion.png"):
        assert name.read_bytes().startswith(b"\x89PNG")
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["seed"] == 0
    assert config["data"]["training"]["videos"] == 160
    # The weights that were kept are those of the test, in either framework.
    for one in ("keras", "torch"):
        asked = ("recognise", package, "--config", CONFIG, "--checkpoint", out, "--json")
        again = json.loads(run(*asked, "--framework", one).out)
        assert again["top1"] == test["accuracy"]
        assert again["loss"] == pytest.approx(test["loss"], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [((), (11, 1)), (("--validation", 4), (8, 4)), (("--per-class", 5), (5, 1))],
)
def test_balanced_videos_are_as_many_as_there_can_be(
    package: Path, run: Run, tmp_path: Path, options: tuple[object, ...], numbers: tuple[int, int]
) -> None:
    """Of the twelve videos of each class."""
    asked = ("recognise", package, "--config", CONFIG, "--train", "--choice", "balanced")
    few = ("--framework", "torch", "--units", 3, "--epochs", 1, "--out", "run")
    ran = run(*asked, *few, *options)
    assert (ran.code, ran.err) == (0, "")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["training"]["videos"] == 16 * numbers[0]
    assert config["data"]["validation"]["videos"] == 16 * numbers[1]
    # A run goes on with them also where they are named.
    named = ("--per-class", numbers[0], "--validation", numbers[1])
    assert run(*asked, *few, *named).code == 0
    ran = run(*asked, *few, "--per-class", 20, "--validation", 13)
    assert (ran.code, ran.out, ran.err) == (
        *(1, ""),
        "avmit: --per-class 20 and --validation 13 are more than there are: class 'barking' has 12 "
        "to choose from, of 12 source videos; --per-class 11 is possible with --validation 1\n",
    )


def test_shuffled_labels_stay_at_chance(run: Run, tmp_path: Path) -> None:
    package = write_package(tmp_path / "avmit", test=20, shuffled=True)
    asked = (*FAST, "--epochs", 4, "--framework", "torch", "--out", "run")
    assert run("recognise", package, *asked).code == 0
    assert results(tmp_path / "run")["test"]["accuracy"] < 0.15  # chance is 1/16


@pytest.mark.parametrize("side", ["audio", "visual"])
def test_one_modality_alone(package: Path, run: Run, tmp_path: Path, side: str) -> None:
    asked = (*FAST, "--epochs", 2, "--framework", "torch", "--out", "run", f"--{side}-only")
    ran = run("recognise", package, *asked)
    assert (ran.code, ran.err) == (0, "")
    recogniser = avmit.recogniser(tmp_path / "run", "torch")
    assert recogniser.architecture.modalities == [side]
    rows = np.zeros((3, 7, dict(recogniser.architecture.widths)[side]), np.float32)
    assert recogniser.predict(**{side: rows}).shape == (3, 16)
    assert run("recognise", package, "--config", CONFIG, "--checkpoint", "run").code == 0


@pytest.mark.parametrize("rnn", ["simple", "gru", "lstm"])
def test_frameworks_learn_the_same(rnn: Any) -> None:
    """Without dropout, whose random numbers are each framework's own, to rounding."""
    pytest.importorskip("keras")
    made = Architecture("recognition", (("audio", 6), ("visual", 5)), rnn, 9, 8, 16)
    weights = initial_weights(made, 0)
    generator = np.random.default_rng(0)
    batches = [
        {
            "audio": generator.standard_normal((16, 7, 6)).astype(np.float32),
            "visual": generator.standard_normal((16, 7, 5)).astype(np.float32),
            "label": generator.integers(0, 16, 16),
        }
        for _ in range(20)
    ]
    losses, outputs = [], []
    for framework in ("keras", "torch"):
        one = network(made, weights, framework)
        one.prepare(Optimizer(1e-3, weight_decay=1e-2))
        losses.append(one.train(batches, (0, 0)))
        outputs.append(one.probabilities(batches[0]))
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-3


def started(package: Path, out: Path, framework: str, *more: object) -> subprocess.Popen[str]:
    arguments = ("recognise", package, *FAST, "--framework", framework, "--out", out, *more)
    return subprocess.Popen(
        [sys.executable, "-m", "avmit_cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(avmit.__file__).parent,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    package: Path, tmp_path: Path, framework: str
) -> None:
    pytest.importorskip(framework)
    folders = [tmp_path / "killed", tmp_path / "whole"]
    killed = started(package, folders[0], framework, "--epochs", 5)
    assert killed.stdout is not None
    begins = killed.stdout.readline()
    lines = [killed.stdout.readline() for _ in range(2)]
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    said = "160 videos to train on, 32 to validate (10 and 2 of each class); 10 batches an epoch"
    assert begins == f"{folders[0]}: {said}, at most 5 epochs\n"
    assert all(line.startswith("epoch ") for line in lines)
    assert not (folders[0] / "results.json").exists()
    with pytest.raises(avmit.AvmitError, match="is not finished: run it again, and it goes on"):
        avmit.recogniser(folders[0])
    for folder in folders:
        ran = started(package, folder, framework, "--epochs", 5)
        out, err = ran.communicate()
        assert (ran.returncode, err) == (0, "")
        if folder == folders[0]:
            assert re.match(rf"{re.escape(begins.strip())}; goes on after epoch [2-5]\n", out)
    assert "epoch 1:" in out
    for name in ("metrics.csv", "results.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    with (
        np.load(folders[0] / "state.npz") as resumed,
        np.load(folders[1] / "state.npz") as whole,
    ):
        assert resumed.files == whole.files
        assert all(np.array_equal(resumed[name], whole[name]) for name in whole.files)


def test_a_terminal_sees_the_batches_of_an_epoch(package: Path, tmp_path: Path) -> None:
    """And what is not one, only the lines."""
    terminal, stderr = os.openpty()
    command = [sys.executable, "-m", "avmit_cli", "recognise", str(package), *map(str, FAST)]
    with subprocess.Popen(
        [*command, "--framework", "torch", "--epochs", "1", "--out", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=Path(avmit.__file__).parent,
    ) as running:
        os.close(stderr)
        seen = b""
        with contextlib.suppress(OSError):  # Linux's word for its end
            while part := os.read(terminal, 4096):
                seen += part
        os.close(terminal)
        assert running.stdout is not None
        lines = running.stdout.read().splitlines()
    assert running.returncode == 0
    assert re.search(rb"epoch 1 .*10/10", seen)
    assert [line.partition(":")[0] for line in lines[:2]] == [str(tmp_path / "run"), "epoch 1"]
    assert b"loss" not in seen


def test_a_finished_run_is_not_trained_again(package: Path, run: Run, tmp_path: Path) -> None:
    asked = ("recognise", package, *FAST, "--epochs", 2, "--framework", "torch", "--out", "run")
    first = run(*asked)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    again = run(*asked)
    assert again.code == 0
    assert not [line for line in again.out.splitlines() if line.startswith("epoch ")]
    assert again.out.splitlines()[-1] == first.out.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    ran = run(*asked, "--units", 13)
    assert (ran.code, ran.err) == (
        1,
        "avmit: run/config.json is of a run with --units 12, not 13: pass the same options to "
        "go on, or choose another --out\n",
    )


def test_training_stops_when_validation_gets_no_better(
    package: Path, run: Run, tmp_path: Path
) -> None:
    asked = (*SMALL, "--learning-rate", 1e-9, "--patience", 2, "--framework", "torch")
    assert run("recognise", package, *asked, "--epochs", 9, "--out", "run").code == 0
    assert len(metrics(tmp_path / "run")) == 3


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_a_loss_that_is_no_number(run: Run, tmp_path: Path, framework: str) -> None:
    pytest.importorskip(framework)
    package = write_package(tmp_path / "avmit", test=1, bad=float("nan"))
    asked = (*FAST, "--epochs", 2, "--framework", framework, "--out", "run")
    ran = run("recognise", package, *asked)
    assert ran.code == 1
    assert ran.err == (
        "avmit: the loss is nan in epoch 1 of run: look for values that are no numbers with "
        "`avmit verify`, or train with a --learning-rate below 0.02; what was before is kept\n"
    )
    assert ran.err.count("\n") == 1


def test_folders_that_are_no_runs(package: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    ran = run("recognise", package, *FAST, "--out", "mine")
    assert ran.err == "avmit: mine holds thesis.txt and no run: choose another --out\n"
    (tmp_path / "file").touch()
    ran = run("recognise", package, *FAST, "--out", "file")
    assert ran.code == 1
    assert ran.err.startswith("avmit: file cannot be made (")


@pytest.mark.parametrize("name", ["state.npz", "config.json"])
def test_a_damaged_run(package: Path, run: Run, tmp_path: Path, name: str) -> None:
    asked = ("recognise", package, *FAST, "--epochs", 1, "--framework", "torch", "--out", "run")
    assert run(*asked).code == 0
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:50])
    ran = run(*asked)
    assert ran.code == 1
    assert ran.err.startswith(f"avmit: run/{name} cannot be read (")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--learning-rate", -1), "--learning-rate -1.0: it is a number above 0"),
        (("--learning-rate", "nan"), "--learning-rate nan: it is a number above 0"),
        (("--audio-only", "--visual-only"), "--audio-only and --visual-only leave nothing: pass"),
        (("--audio-only", "--task", "correspondence"), "the correspondence task needs both audio"),
        (("--per-class", 99), "--per-class 99 and --validation 2 are more than there are"),
        (
            ("--choice", "paper"),
            "--per-class 10 is of --choice balanced, and the authors' videos are as many as they "
            "are: leave it out, or pass that",
        ),
        (("--seed", 2**64), "--seed 18446744073709551616: it is at most 18446744073709551615"),
    ],
)
def test_what_cannot_be_trained(
    package: Path, run: Run, arguments: tuple[object, ...], said: str
) -> None:
    ran = run("recognise", package, *FAST, "--out", "run", *arguments)
    assert ran.code == 1
    assert ran.err.startswith(f"avmit: {said}")
    assert ran.err.count("\n") == 1


def test_pairs_that_correspond_are_learned(run: Run, tmp_path: Path) -> None:
    """Of two classes far apart, of which one modality follows the other."""
    package = write_package(tmp_path / "avmit", train=14, test=4)
    asked = (
        *("recognise", package, "--config", CONFIG, "--train", "--task", "correspondence"),
        *("--choice", "balanced", "--per-class", 10, "--validation", 2, "--framework", "torch"),
        *("--learning-rate", 0.003, "--batch-size", 16, "--units", 16, "--epochs", 10),
    )
    assert run(*asked, "--out", "run").code == 0
    found = results(tmp_path / "run")
    assert found["test"]["rows"] == 2 * 64
    assert found["test"]["labels"] == ["incongruent", "congruent"]
    assert found["test"]["accuracy"] > 0.7
    ran = run("recognise", package, "--config", CONFIG, "--checkpoint", "run")
    assert (ran.code, ran.err) == (
        1,
        "avmit: run is of the correspondence task, whose pairs are drawn by a run: give its "
        "command again, with --train, which tests a finished run anew\n",
    )
    accuracies = [float(row["val_accuracy"]) for row in metrics(tmp_path / "run")]
    assert found["kept_epoch"] == 1 + accuracies.index(max(accuracies))


def test_the_authors_choice_of_videos(package: Path, run: Run, tmp_path: Path) -> None:
    names = avmit.load(CONFIG, "train", data_dir=package).with_format(None)
    columns = "filename,actual_label,r1,r2,r3,label,video_location,tfrecord_filename"
    for file, rows in (("AVMIT_train.csv", range(128)), ("AVMIT_validation.csv", range(128, 160))):
        lines = [columns]
        for row in names.select(rows):
            name = names.features["label"].int2str(row["label"])
            lines.append(
                f"{row['filename']},{name},0,0,3,{name},MIT_training,{row['tfrecord_filename']}"
            )
        (tmp_path / file).write_text("\n".join(lines) + "\n")
    asked = ("recognise", package, "--config", CONFIG, "--train", "--epochs", 1, "--units", 4)
    ran = run(*asked, "--framework", "torch", "--out", "run", "--choice-from", tmp_path)
    assert (ran.code, ran.err) == (0, "")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["training"]["videos"] == 128
    assert config["data"]["validation"]["videos"] == 32
    # What was not asked for is the paper's.
    assert config["settings"]["learning_rate"] == 0.000072503
    assert config["settings"]["patience"] == 20
    with (tmp_path / "AVMIT_train.csv").open("a") as training:
        training.write(
            "barking/yt-x_1.mp4,barking,0,0,3,barking,MIT_training,barking/yt-x_1.tfrecord\n"
        )
    ran = run(*asked, "--framework", "torch", "--out", "more", "--choice-from", tmp_path)
    assert (ran.code, ran.err) == (
        1,
        f"avmit: {CONFIG} of {package} lacks 1 of the 129 videos of {tmp_path}/AVMIT_train.csv "
        "(barking/yt-x_1.mp4 is the first): convert the whole release, or pass --choice balanced\n",
    )


def test_the_authors_lists_are_not_there(package: Path, run: Run, tmp_path: Path) -> None:
    asked = ("recognise", package, "--config", CONFIG, "--train", "--framework", "torch")
    ran = run(*asked, "--out", "run", "--choice-from", tmp_path)
    assert (ran.code, ran.out, ran.err) == (
        *(1, ""),
        f"avmit: {tmp_path}/AVMIT_train.csv is not there: pass --choice-from a folder that has "
        "AVMIT_train.csv, or that file\n",
    )


def test_pytorch_alone(package: Path, tmp_path: Path) -> None:
    train = ("-m", "avmit_cli", "recognise", package, *FAST, "--epochs", 1, "--framework", "torch")
    ran = run_without(TENSORFLOW, *train, "--out", tmp_path / "run", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    test = ("-m", "avmit_cli", "recognise", package, "--config", CONFIG, "--checkpoint")
    both = ("--framework", "torch")
    ran = run_without(TENSORFLOW, *test, tmp_path / "run", *both, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    ran = run_without(TENSORFLOW, *train[:-1], "keras", "--out", tmp_path / "x", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (
        1,
        "avmit: a network in Keras needs keras, which is not installed or does not load: "
        "pip install 'avmit[recognise]'\n",
    )
