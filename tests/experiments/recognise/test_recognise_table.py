"""The paper's results, and `avmit recognise --table`, which trains all its networks anew."""

import csv
import json
from pathlib import Path

import pytest
from support.commands import Run
from support.places import REFERENCE
from support.recognising import write_package

from experiments.recognise.paper import CELLS

RESULTS = REFERENCE / "paper" / "results.csv"
NAMES = {"SimpleRNN": "simple", "GRU": "gru", "LSTM": "lstm"}


@pytest.mark.skipif(not RESULTS.is_file(), reason="no reference tree")
def test_the_paper_s_results_are_those_of_the_authors() -> None:
    with RESULTS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(CELLS) == 24
    for row, cell in zip(rows, CELLS, strict=True):
        expected = (
            *(row["task"], row["embeddings"], NAMES[row["rnn"]], row["trained_on"]),
            *(int(row["units"]), int(row["bottleneck"]) if row["bottleneck"] else None),
            *(float(row["dropout"]), float(row["learning_rate"]), int(row["batch_size"])),
            *(float(row["loss"]), float(row["accuracy"])),
            float(row["top5_accuracy"]) if row["top5_accuracy"] else None,
        )
        assert tuple(cell) == expected


def test_all_networks_of_a_config(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    package = write_package(tmp_path / "avmit", train=4, test=1, config="vggish_vgg16")
    asked = (
        *("recognise", package, "--table", "--choice", "balanced", "--per-class", 2),
        *("--validation", 1, "--epochs", 1, "--units", 3, "--framework", "torch", "--out", "runs"),
    )
    ran = run(*asked)
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()]
    shown = [line for line in lines if line[1:2] == ["vggish_vgg16"]]
    assert [line[:3] for line in shown] == [
        [task, "vggish_vgg16", rnn]
        for task in ("correspondence", "recognition")
        for rnn in ("simple", "gru", "lstm")
    ]
    assert shown[4][-4:] == ["0.2917", "0.9104", "0.9979", "0.8583"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(
        f"{task}-vggish_vgg16-{rnn}"
        for task in ("correspondence", "recognition")
        for rnn in ("simple", "gru", "lstm")
    )
    again = json.loads(run(*asked, "--json").out)
    assert [cell["here"]["rows"] for cell in again] == [32, 32, 32, 16, 16, 16]
    assert again[4]["here"]["accuracy"] == pytest.approx(float(shown[4][5]), abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        (("--task", "recognition", "--rnn", "lstm"), ["recognition-vggish_vgg16-lstm"]),
        (("--audio-only", "--rnn", "simple"), ["recognition-vggish_vgg16-simple"]),
    ],
)
def test_some_of_them(run: Run, tmp_path: Path, asked: tuple[str, ...], runs: list[str]) -> None:
    pytest.importorskip("torch")
    package = write_package(tmp_path / "avmit", train=2, test=1, config="vggish_vgg16")
    few = ("--choice", "balanced", "--per-class", 1, "--validation", 1, "--epochs", 1)
    table = ("--table", *few, "--units", 3, "--framework", "torch", "--out", "runs")
    assert run("recognise", package, *table, *asked).code == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == runs
    ran = run("recognise", package, *table, "--audio-only", "--task", "correspondence")
    assert (ran.code, ran.err) == (
        1,
        "avmit: the correspondence task needs both audio and visual: leave out neither\n",
    )


def test_a_package_without_the_paper_s_configs(run: Run, tmp_path: Path) -> None:
    package = write_package(tmp_path / "avmit", train=1, test=1)
    ran = run("recognise", package, "--table", "--out", "runs")
    assert (ran.code, ran.err) == (
        1,
        f"avmit: {package} has none of the paper's configs: vggish_vgg16, yamnet_effnet\n",
    )
