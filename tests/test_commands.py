"""The `avmit` command: its help, its output, and its errors."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.places import ROOT
from support.releases import DIMS, SPLITS, shard_rows

from avmit import AvmitError
from conversion import cli as conversion_cli
from conversion.wording import parse_size
from experiments import cli as experiments_cli
from extraction import cli as extraction_cli

LAZY = {**conversion_cli.COMMANDS, **extraction_cli.COMMANDS, **experiments_cli.COMMANDS}
COMMANDS: dict[str, Any] = {name: lazy.load(name) for name, lazy in LAZY.items()}
HEAVY = {"avmit", "datasets", "huggingface_hub", "numpy", "pandas", "pyarrow", "requests"}
README = ROOT / "README.md"


def test_the_commands_there_are() -> None:
    assert set(COMMANDS) == {
        *("download", "convert", "verify", "export", "prefetch", "info", "index"),
        *("card", "demo", "finish", "jobs"),
        "push",
        *("extract", "encoders", "compare"),
        *("silent", "features", "recognise"),
        *("stimuli", "trials", "show", "report"),
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does_with_an_example(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert len(text.split("\n")[0]) > 20
    assert f"Example: avmit {name}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_a_command_does(name: str) -> None:
    paragraph = (COMMANDS[name].help or "").split("\n\n")[0]
    assert LAZY[name].help == paragraph.replace("\n", " ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if parameter.name != "help":
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"\bavmit {name}\b", README.read_text(encoding="utf-8"))


def test_help_is_shown_without_arguments(run: Run) -> None:
    ran = run()
    assert "Usage" in ran.out + ran.err
    for name in COMMANDS:
        assert name in ran.out + ran.err


@pytest.mark.parametrize(
    ("argument", "said"), [("--help", "verify"), ("verfy", "verify"), ("--version", "avmit 0.")]
)
def test_help_and_mistakes_wait_for_no_library(argument: str, said: str) -> None:
    program = "import sys\ntry: main()\nfinally: print(*sys.modules)"
    started = [sys.executable, "-c", f"from avmit_cli import main\n{program}", argument]
    ran = subprocess.run(started, capture_output=True, text=True)
    assert said in ran.stdout + ran.stderr
    assert not HEAVY & set(ran.stdout.splitlines()[-1].split())


def test_info_imports_nothing_that_takes_long(package: Path) -> None:
    program = "import sys\ntry: main()\nfinally: print(*sys.modules)"
    started = [sys.executable, "-c", f"from avmit_cli import main\n{program}"]
    ran = subprocess.run([*started, "info", str(package)], capture_output=True, text=True)
    assert "48 of 57,177 rated videos, so label numbers are of 16 names" in ran.stdout
    assert not {"avmit", "datasets", "huggingface_hub", "pandas"} & set(ran.stdout.split())


def test_the_installed_command() -> None:
    command = Path(sys.executable).with_name("avmit")
    ran = subprocess.run([command, "convert", "--help"], capture_output=True, text=True)
    assert ran.returncode == 0
    assert "Example: avmit convert" in ran.stdout


def test_info(package: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    ran = run("info", package)
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()]
    steps = {"vggish_vgg16": ("(3,", "(6-7,"), "yamnet_effnet": ("(5-6,", "(6-7,")}
    for config, splits in SPLITS.items():
        for index, split in enumerate(splits):
            rows = str(len(shard_rows(package, config, split)))
            start = [config, split, rows, "1"] if index == 0 else [split, rows, "1"]
            found = [line for line in lines if line[: len(start)] == start]
            if config in DIMS:
                shapes = zip(steps[config], map(str, DIMS[config]), strict=True)
                end = [part for step, dim in shapes for part in (step, f"{dim})")]
                found = [line for line in found if line[-4:] == end]
            assert len(found) == 1, (config, split)
        assert any(line.startswith(f"{config} is from ") for line in ran.out.splitlines())
    assert "vggish_vgg16 is from VGGish_VGG16, 48 records" in ran.out.splitlines()
    assert ran.out.splitlines()[-1] == (
        "not the full release: 48 of 57,177 rated videos, so label numbers are of 16 names"
    )


def test_info_on_a_narrow_terminal_still_has_the_numbers(
    package: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in run("info", package).out


@pytest.mark.parametrize("columns", [80, 200])
def test_info_fits_a_terminal(package: Path, columns: int) -> None:
    """Lines end at the right edge, between words, and nothing of them is lost."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    command = [sys.executable, "-m", "avmit_cli", "info", str(package)]
    with subprocess.Popen(command, stdout=theirs, cwd=ROOT, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux's word for the end of a terminal
            while some := os.read(ours, 65536):
                shown += some
        assert process.wait() == 0
    os.close(ours)
    lines = shown.decode().splitlines()
    assert max(map(len, lines)) <= columns
    piped = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert " ".join(lines).split() == piped.stdout.split()


@pytest.mark.parametrize("command", ["info", "card"])
def test_a_folder_that_is_not_there(run: Run, command: str) -> None:
    ran = run(command, "nowhere")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: no folder nowhere: make a package with `avmit convert SOURCE --out nowhere`\n"
    )


@pytest.mark.parametrize("command", ["info", "card"])
def test_a_folder_that_is_no_package(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    ran = run(command, "empty")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: empty is not an AVMIT package (no config with a manifest.json): "
        "make one with `avmit convert SOURCE --out empty`\n"
    )


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"config": "x", "splits": {"a": 1}}'])
def test_a_manifest_that_is_none(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "avmit" / "x").mkdir(parents=True)
    (tmp_path / "avmit" / "x" / "manifest.json").write_text(content)
    ran = run("info", "avmit")
    assert ran.code == 1
    assert ran.err.startswith("avmit: avmit/x/manifest.json is not a manifest (")
    assert ran.err.count("\n") == 1


def test_demo(run: Run, tmp_path: Path) -> None:
    ran = run("demo", "--out", "demo/avmit")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    steps = [line for line in lines if re.match(r"\d\. ", line)]
    assert [step[:2] for step in steps] == ["1.", "2.", "3.", "4."]
    assert "16 classes" in ran.out
    assert re.search(r", [1-9]\d* rated more than 3 times", ran.out)
    assert "audio (" in ran.out
    assert "Next:" in lines
    assert len(shard_rows(tmp_path / "demo" / "avmit", "yamnet_effnet", "test")) == 48
    again = run("demo", "--out", "demo/avmit")
    assert again.code == 0


def test_demo_into_the_current_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    ran = run("demo", "--out", ".")
    assert ran.code in (0, 1)
    assert ran.code == 0 or ran.err.startswith("avmit: ")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("17B", 17),
        ("256MB", 256_000_000),
        ("256mb", 256_000_000),
        (" 1 GB ", 10**9),
        ("1.5kB", 1500),
        ("4KiB", 4096),
        ("1MiB", 2**20),
        ("2GiB", 2**31),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "MB", "0", "0.5", "-1MB", "1XB", "1MBB", "1IB", "nan", "inf", "ten", "1 2", "1e999"],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(AvmitError) as error:
        parse_size(text)
    assert str(error.value) == f"'{text}' is not a size: write one such as 256MB or 1GB"


def test_a_bad_size_is_one_line(small_release: Path, run: Run) -> None:
    ran = run("convert", small_release, "--max-shard-size", "big")
    assert ran.code == 1
    assert ran.err == "avmit: 'big' is not a size: write one such as 256MB or 1GB\n"


@pytest.mark.parametrize("value", ["x", "=x", "x=", "="])
def test_tfrecords_without_name_or_path(small_release: Path, run: Run, value: str) -> None:
    ran = run("convert", small_release, "--tfrecords", value)
    assert ran.code == 1
    assert ran.err == f"avmit: --tfrecords {value}: write NAME=PATH, each NAME once\n"


def test_tfrecords_with_a_name_twice(small_release: Path, run: Run) -> None:
    value = f"x={small_release / 'VGGish_VGG16'}"
    ran = run("convert", small_release, "--tfrecords", value, "--tfrecords", value)
    assert ran.code == 1
    assert ran.err == f"avmit: --tfrecords {value}: write NAME=PATH, each NAME once\n"


def test_tfrecords_that_lead_nowhere(small_release: Path, run: Run) -> None:
    ran = run("convert", small_release, "--tfrecords", "x=nowhere")
    assert ran.code == 1
    assert ran.err == "avmit: --tfrecords x=nowhere: there is nothing at nowhere\n"


@pytest.mark.parametrize(
    "arguments", [["--workers", "0"], ["--format", "csv"], ["--compression", "gzip"], ["--no"]]
)
def test_options_that_there_are_not(small_release: Path, run: Run, arguments: list[str]) -> None:
    ran = run("convert", small_release, *arguments)
    assert ran.code == 2
    assert arguments[0] in ran.err


def test_what_convert_prints(release: Path, run: Run, tmp_path: Path) -> None:
    ran = run("convert", release, "--workers", 1)
    assert (ran.code, ran.err) == (0, "")
    raw = len(shard_rows(tmp_path / "avmit", "raw_ratings", "train"))
    assert ran.out.splitlines() == [
        f"raw_ratings: train {raw} rows",
        "ratings: train 48 rows",
        "test_set: test 16 rows",
        "vggish_vgg16: train 32 rows, test 16 rows",
        "  1 record files that no row names, left out",
        "yamnet_effnet: train 32 rows, test 16 rows",
        "  1 record files that no row names, left out",
        'avmit: load it with load_dataset("avmit", "yamnet_effnet")',
    ]
