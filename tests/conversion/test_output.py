"""What commands print: others' names cannot command the terminal, and every encoding will do."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from rich.console import Console
from support.commands import Run
from support.damage import EMBEDDINGS, edit_manifest
from support.places import ROOT
from support.releases import CSV, SETS, csv_rows, edit_record, shard_rows, write_csv

from conversion.package.info import describe
from conversion.release.generate import generate_release
from conversion.tfrecord.record import Record

AVMIT = [sys.executable, "-m", "avmit_cli"]
NASTY = "a[bold]\x1b[2J\x1b]0;owned\x07\u2028\x0b\u202eé"
SHOWN = r"a[bold]\x1b[2J\x1b]0;owned\x07\u2028\x0b\u202eé"


def avmit(*arguments: object, encoding: str = "utf-8") -> tuple[int, str, str]:
    ran = subprocess.run(
        [*AVMIT, *map(str, arguments)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
    )
    return ran.returncode, ran.stdout.decode(encoding), ran.stderr.decode(encoding)


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.fixture
def nasty(sharded_package: Path, tmp_path: Path) -> Path:
    """A package in a folder whose name a terminal would obey."""
    return Path(shutil.copytree(sharded_package, tmp_path / "[red" / "x[/red]" / NASTY))


def test_names_of_folders(nasty: Path, run: Run) -> None:
    edit_manifest(nasty, EMBEDDINGS, lambda m: m["source"].update(name=f"{NASTY}\nx"))
    shown = str(nasty.parent / SHOWN)
    for arguments in (
        ["info", nasty],
        ["card", nasty],
        ["verify", nasty, "--workers", 1],
        ["export", nasty, "--config", EMBEDDINGS, "--out", nasty.with_name(f"{NASTY}-out")],
    ):
        ran = run(*arguments)
        assert (ran.code, ran.err) == (0, "")
        assert shown in ran.out.replace("\n", "")
        assert is_plain(ran.out)
    assert rf"is from {SHOWN}\nx, 48 records" in run("info", nasty).out
    card = (nasty / "README.md").read_text(encoding="utf-8")
    assert rf"48 records of `{SHOWN}\nx`" in card
    ran = run("compare", nasty, EMBEDDINGS, "mine[red]")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ran.err.startswith(f"avmit: no config 'mine[red]' in {shown}; ")
    ran = run("info", nasty / "nowhere")
    assert ran.err.startswith(f"avmit: no folder {shown}/nowhere: make a package with ")
    assert ran.err.count("\n") == 1


def test_names_of_files_in_a_package(nasty: Path, run: Run) -> None:
    (nasty / EMBEDDINGS / f"{NASTY}\n.txt").touch()
    ran = run("verify", nasty, "--workers", 1)
    assert ran.code == 1
    assert rf"the manifest does not name {SHOWN}\n.txt" in ran.out
    assert is_plain(ran.out)
    assert "\\u001b[2J" in run("verify", nasty, "--workers", 1, "--json").out


def test_names_in_archives_and_csvs(small_release: Path, run: Run, tmp_path: Path) -> None:
    """A record that is missing under a name of the CSV's, and bad ones in an archive."""
    rows = csv_rows(small_release / CSV["ratings"])
    folder = small_release / SETS["vggish_vgg16"]
    names = [rows[0]["tfrecord_filename"], f"barking/{NASTY}.tfrecord"]
    tests = csv_rows(small_release / CSV["test_set"])
    for row in (*rows, *tests):
        if row["tfrecord_filename"] == names[0]:
            row["tfrecord_filename"] = names[1]
    write_csv(small_release / CSV["ratings"], rows)
    write_csv(small_release / CSV["test_set"], tests)
    (folder / names[0]).unlink()
    bad = rows[1]["tfrecord_filename"]
    edit_record(folder / bad, lambda r: Record(f"{NASTY}\n.mp4", r.label, r.audio, r.visual))
    with tarfile.open(small_release / f"{NASTY}\n.tar", "w") as tar:
        tar.add(folder, NASTY)
    shutil.rmtree(folder)
    ran = run("convert", small_release, "--workers", 1)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert SHOWN in ran.err
    assert is_plain(ran.out + ran.err)
    ran = run("convert", small_release, "--workers", 1, "--on-bad-record", "skip")
    assert (ran.code, ran.err) == (0, "")
    assert f"rated videos without a record (barking/{SHOWN}.tfrecord): all in" in ran.out
    assert is_plain(ran.out)
    assert f"is from {SHOWN}, 31 records" in run("info", "avmit").out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_that_lacks_a_character(
    sharded_package: Path, tmp_path: Path, encoding: str
) -> None:
    """The words all come out, with what cannot be encoded written as Python writes it."""
    package = Path(shutil.copytree(sharded_package, tmp_path / "ü日本"))
    shown = str(package).encode(encoding, errors="backslashreplace").decode(encoding)
    for arguments, last in (
        (
            ["info", package],
            "not the full release: 48 of 57,177 rated videos, so label numbers are of 16 names",
        ),
        (["card", package], f"{shown}/README.md is up to date"),
        (["verify", package, "--workers", 1], f"{shown}: all holds"),
        (
            ["export", package, "--config", EMBEDDINGS, "--out", package / "tf"],
            f"{shown}/tf: 48 records of {EMBEDDINGS}",
        ),
        (["compare", package, EMBEDDINGS, EMBEDDINGS], None),
    ):
        code, out, err = avmit(*arguments, encoding=encoding)
        assert (code, err) == (0, ""), arguments
        assert last is None or out.splitlines()[-1] == last
    code, out, err = avmit("card", package / "é", encoding=encoding)
    where = str(package / "é").encode(encoding, errors="backslashreplace").decode(encoding)
    assert (code, out) == (1, "")
    assert err.startswith(f"avmit: no folder {where}: make a package with ")


def test_convert_in_an_encoding_that_lacks_a_character(tmp_path: Path) -> None:
    source = tmp_path / "ü日本"
    generate_release(source, videos_per_label=2, test_per_label=1, sets=["vggish_vgg16"])
    code, out, err = avmit("convert", source, "--out", source / "avmit", encoding="ascii")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].endswith(r'\xfc\u65e5\u672c/avmit", "vggish_vgg16")')
    assert len(shard_rows(source / "avmit", "ratings", "train")) == 32


@pytest.mark.parametrize("width", [80, 60])
def test_info_cuts_nothing_on_a_terminal(copied: Path, width: int) -> None:
    long = "my_" * 20 + "config"
    (copied / EMBEDDINGS).rename(copied / long)
    edit_manifest(copied, long, lambda m: m.update(config=long))
    table, _ = describe(copied)
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    text = out.getvalue()
    assert "…" not in text
    words = text.split()
    for number in ("48", "32", "16", "128)", "512)", "test", "train"):
        assert number in words, number
    first = [
        line.split()[0] for line in text.splitlines() if line.strip().startswith(("my_", "y_"))
    ]
    assert len("".join(first)) <= len(long)


def test_info_is_not_cut_in_a_file(nasty: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = run("info", nasty).out
    assert "(3, 128)" in out
    assert "(6-7, 512)" in out
