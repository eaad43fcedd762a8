"""`avmit recognise --checkpoint`: the authors' network on a package's test videos."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Run
from support.recognising import CONFIG, published_model, write_checkpoint, write_package

import avmit

pytest.importorskip("tf_keras")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with a test set of 960 videos; never written to."""
    return write_package(tmp_path_factory.mktemp("recognise") / "avmit", train=1)


@pytest.fixture(scope="module")
def published(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network and what Keras 2 says of it on that test set, in another order of classes."""
    folder = tmp_path_factory.mktemp("published") / "GRU"
    labels = tuple(reversed(avmit.TEST_CLASSES))
    model = published_model("gru")
    write_checkpoint(folder, model, "gru", labels=labels)
    rows = avmit.load(CONFIG, "test", data_dir=package).with_format("numpy")
    inputs: list[Any] = []
    for name in ("audio", "visual"):
        arrays = np.zeros((960, 7, len(rows[0][name][0])), np.float32)
        for number, row in enumerate(rows):
            arrays[number, : len(row[name])] = np.stack(list(row[name]))
        inputs.append(arrays)
    model.compile(
        loss="sparse_categorical_crossentropy",
        metrics=["sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"],
    )
    truth = 15 - np.asarray(rows["label"])
    loss, accuracy, top5 = model.evaluate(inputs, truth, batch_size=16, verbose=0)
    text = f"loss: {loss}\naccuracy: {accuracy}\ntop 5 accuracy: {top5}"
    (folder / "AVMIT_results.txt").write_text(text)
    return folder


def changed(published: Path, folder: Path, change: Callable[[dict[str, float]], None]) -> Path:
    """Copy a network, and publish something else of it."""
    shutil.copytree(published, folder)
    path = folder / "AVMIT_results.txt"
    said = {n: float(v) for n, v in (one.split(": ") for one in path.read_text().splitlines())}
    change(said)
    path.write_text("\n".join(f"{name}: {value}" for name, value in said.items()))
    return folder


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_what_keras_2_said_is_found_again(
    package: Path, published: Path, run: Run, framework: str
) -> None:
    asked = ("recognise", package, "--config", CONFIG, "--checkpoint", published)
    ran = run(*asked, "--framework", framework)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == (
        "all 960 test videos, and what was published of the network: conversion, order, padding "
        "and labels are right"
    )
    document = json.loads(run(*asked, "--framework", framework, "--json").out)
    assert document["agrees"] is True
    assert document["videos"] == 960
    for name in ("loss", "top1", "top5"):
        assert document[name] == pytest.approx(document["published"][name], abs=1e-5)
    confusion = np.array(document["confusion"])
    assert confusion.sum(1).tolist() == [60] * 16
    assert confusion.trace() / 960 == document["top1"]
    assert list(document["recognised"].values()) == (confusion.diagonal() / 60).tolist()


@pytest.mark.parametrize("name", ["loss", "accuracy", "top 5 accuracy"])
@pytest.mark.parametrize("by", [-0.03, 0.03])
def test_what_was_published_otherwise(
    package: Path, published: Path, run: Run, tmp_path: Path, name: str, by: float
) -> None:
    other = changed(
        published, tmp_path / "other", lambda said: said.update({name: said[name] + by})
    )
    ran = run("recognise", package, "--config", CONFIG, "--checkpoint", other)
    assert ran.code == 1
    assert ran.out.count("DIFFERS") == 1
    assert ran.out.splitlines()[-1].startswith("not what was published of the network: ")


def test_wrong_labels_are_noticed(published: Path, run: Run, tmp_path: Path) -> None:
    package = write_package(tmp_path / "avmit", train=1, shuffled=True)
    ran = run("recognise", package, "--config", CONFIG, "--checkpoint", published)
    assert ran.code == 1
    assert "DIFFERS" in ran.out


def test_not_all_test_videos(published: Path, run: Run, tmp_path: Path) -> None:
    package = write_package(tmp_path / "avmit", train=1, test=3)
    asked = ("recognise", package, "--config", CONFIG, "--checkpoint", published)
    ran = run(*asked)
    assert ran.code == 1
    assert ran.out.splitlines()[-1] == (
        "48 of 960 test videos, so nothing is said of agreement with what was published"
    )
    document = json.loads(run(*asked, "--json").out)
    assert (document["agrees"], document["videos"]) == (None, 48)


def test_nothing_published(package: Path, published: Path, run: Run, tmp_path: Path) -> None:
    other = Path(shutil.copytree(published, tmp_path / "other"))
    (other / "AVMIT_results.txt").unlink()
    ran = run("recognise", package, "--config", CONFIG, "--checkpoint", other)
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == (
        "all 960 test videos; nothing was published of the network to compare with"
    )
    (other / "AVMIT_results.txt").write_text("loss: much")
    ran = run("recognise", package, "--config", CONFIG, "--checkpoint", other)
    assert ran.code == 1
    assert ran.err.startswith(f"avmit: {other / 'AVMIT_results.txt'} does not say loss")


def test_a_config_of_other_widths_or_classes(published: Path, run: Run, tmp_path: Path) -> None:
    wide = write_package(tmp_path / "wide", train=1, test=1, widths=(6, 8))
    ran = run("recognise", wide, "--config", CONFIG, "--checkpoint", published)
    assert (ran.code, ran.err) == (
        1,
        f"avmit: tiny of {wide} has visual embeddings of width 8, and {published} takes 5: name "
        "the config that it was trained on\n",
    )
    few = write_package(tmp_path / "few", train=1, test=1, labels=avmit.TEST_CLASSES[:-2])
    ran = run("recognise", few, "--config", CONFIG, "--checkpoint", published)
    assert (ran.code, ran.err) == (
        1,
        f"avmit: tiny of {few} has no class whistling; vacuuming, which the network tells apart: "
        "use a package with all 16 classes\n",
    )


def test_a_figure(package: Path, published: Path, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    asked = ("recognise", package, "--config", CONFIG, "--checkpoint", published, "--figure")
    assert run(*asked, "confusion.png").code == 0
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    ran = run(*asked, "nowhere/confusion.png")
    assert ran.err == "avmit: --figure nowhere/confusion.png: there is no folder nowhere\n"
    assert run(*asked, "x.pdf").err == "avmit: --figure x.pdf: name a file that ends in .png\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to do: one of --checkpoint FOLDER, --train and --table"),
        (("--train", "--table"), "say what to do: one of --checkpoint FOLDER, --train and --table"),
        (
            ("--checkpoint", "x"),
            "--config says which embeddings: pass --config yamnet_effnet, for one",
        ),
        (
            ("--train", "--config", "x"),
            "--out says where a run is written: pass --out runs/first, for one",
        ),
        (
            ("--checkpoint", "x", "--config", "x", "--audio-only"),
            "--audio-only or --visual-only is for training, and --checkpoint is trained: "
            "leave it out",
        ),
        (
            ("--checkpoint", "x", "--config", "x", "--rnn", "gru"),
            "--rnn is for training, and --checkpoint is trained: leave it out",
        ),
        (
            ("--checkpoint", "x", "--config", "x", "--per-class", "3"),
            "--per-class is for training, and --checkpoint is trained: leave it out",
        ),
    ],
)
def test_what_is_missing_is_said(
    package: Path, run: Run, arguments: tuple[str, ...], said: str
) -> None:
    ran = run("recognise", package, *arguments)
    assert (ran.code, ran.err) == (1, f"avmit: {said}\n")


def test_what_was_taken_for_which_fits_a_terminal(package: Path, published: Path, run: Run) -> None:
    ran = run("recognise", package, "--config", CONFIG, "--checkpoint", published)
    lines = ran.out.splitlines()
    shown = lines[lines.index(next(line for line in lines if line.startswith("confusion"))) :][:20]
    assert sorted(shown[2].split()[1:]) == [name[:3] for name in avmit.TEST_CLASSES]
    assert max(map(len, shown)) < 80
