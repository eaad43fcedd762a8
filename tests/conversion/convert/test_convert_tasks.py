"""`avmit convert --shards`: many tasks, one plan a config, and the bytes of a single run."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from support.commands import Run
from support.places import ROOT

SIZE = ("--max-shard-size", "300kB")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".avmit.lock"
    }


@pytest.mark.parametrize("options", [(), ("--format", "parquet"), ("--compression", "lz4")])
def test_tasks_make_what_one_run_makes(
    release: Path, run: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert run("convert", release, "--out", "whole", "--workers", 1, *SIZE, *options).code == 0
    for part in ("2/3", "0,1/3"):
        ran = run("convert", release, "--shards", part, *SIZE, *options)
        assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^yamnet_effnet: \d+ shards of 0,1/3 made now$", ran.out, re.MULTILINE)
    told = ran.out.splitlines()
    assert re.fullmatch(r"all \d+ shards are done: `avmit finish avmit`", told[-1])
    assert ran.out.count(" done") == 1
    assert run("jobs", "avmit").out.count(" done") > 5
    ran = run("finish", "avmit")
    assert (ran.code, ran.err) == (0, "")
    assert contents(tmp_path / "avmit") == contents(tmp_path / "whole")
    again = run("convert", release, "--shards", "0/1", *SIZE, *options)
    assert again.code == 0
    assert run("finish", "avmit").out.count("(unchanged)") == 5
    assert contents(tmp_path / "avmit") == contents(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_records_in_an_archive(small_release: Path, run: Run, tmp_path: Path, kind: str) -> None:
    records = small_release / "VGGish_VGG16"
    shutil.make_archive(str(records), kind, records)
    shutil.rmtree(records)
    assert run("convert", small_release, "--out", "whole", *SIZE).code == 0
    moved = shutil.move(small_release, tmp_path / "elsewhere")
    assert run("convert", moved, "--shards", "0/2", *SIZE).code == 0
    back = shutil.move(moved, small_release)  # where another machine has the same
    assert run("convert", back, "--shards", "1/2", *SIZE).code == 0
    assert run("finish", "avmit").code == 0
    assert contents(tmp_path / "avmit") == contents(tmp_path / "whole")


def test_a_compressed_tar_is_one_line(small_release: Path, run: Run, tmp_path: Path) -> None:
    with tarfile.open(small_release / "set.tar.gz", "w:gz") as archive:
        archive.add(small_release / "VGGish_VGG16", "VGGish_VGG16")
    ran = run("convert", small_release, "--shards", "0/2")
    assert (ran.code, ran.err) == (
        1,
        f"avmit: {small_release}/set.tar.gz can be read from its start only, which many tasks "
        "cannot: unpack it, or convert without --shards\n",
    )


def test_bad_and_missing_records(small_release: Path, run: Run, tmp_path: Path) -> None:
    files = sorted((small_release / "VGGish_VGG16").rglob("*.tfrecord"))
    files[3].unlink()
    files[5].write_bytes(b"nonsense")
    skip = ("--on-bad-record", "skip")
    assert run("convert", small_release, "--out", "whole", *SIZE, *skip).code == 0
    ran = run("convert", small_release, "--shards", "0/1", *SIZE)
    assert ran.code == 1
    assert "Fetch them again, or leave them out with --on-bad-record skip" in ran.err
    assert run("convert", small_release, "--shards", "0/1", *SIZE, *skip).code == 0
    ran = run("convert", small_release, "--shards", "0/1", *SIZE)
    assert ran.code == 1
    assert "bad records in vggish_vgg16: " in ran.err
    ran = run("finish", "avmit")
    assert (ran.code, ran.err) == (0, "")
    assert contents(tmp_path / "avmit") == contents(tmp_path / "whole")


def test_another_run_in_the_same_place_is_one_line(small_release: Path, run: Run) -> None:
    assert run("convert", small_release, "--shards", "0/2").code == 0
    ran = run("convert", small_release, "--shards", "1/2", "--format", "parquet")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: avmit/.avmit-work/ratings.plan is the plan of a run with other options "
        "(--format arrow, now parquet): start all tasks with the same, or delete it to plan again\n"
    )


def test_tasks_killed_at_any_moment(release: Path, run: Run, tmp_path: Path) -> None:
    small = ("--max-shard-size", "60kB", "--config", "yamnet_effnet")
    assert run("convert", release, "--out", "whole", *small).code == 0
    command = [sys.executable, "-m", "avmit_cli", "convert", str(release), "--shards", "0/1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    marks = "avmit/.avmit-work/yamnet_effnet.plan/shards/*.json"
    for wanted in (1, 5):
        both = [
            subprocess.Popen(
                [*command, *small], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
            )
            for _ in range(2)
        ]
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob(marks))) < wanted and both[0].poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        for process in both:
            process.kill()
            process.wait()
    ran = run("convert", release, "--shards", "0/1", *small)
    assert ran.code == 0
    assert "were there" in ran.out
    assert run("finish", "avmit").code == 0
    assert contents(tmp_path / "avmit") == contents(tmp_path / "whole")
