"""Runs killed, stopped, locked out or out of disk space: nothing lost, nothing half-seen."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conversion.release.generate import generate_release

AVMIT = [sys.executable, "-m", "avmit_cli"]
SHARD_SIZE = "400kB"  # of which the wide set below makes some twenty shards
TMPFS = "mount -t tmpfs -o size=2500k tmpfs "


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interruption") / "release"
    generate_release(folder, videos_per_label=10, sets=["yamnet_effnet"])
    return folder


@pytest.fixture(scope="module")
def undisturbed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "avmit"
    subprocess.run(command(release, out), check=True, capture_output=True)
    return contents(out)


def command(release: Path, out: Path, *options: str) -> list[str]:
    shards = ["--max-shard-size", SHARD_SIZE]
    return [*AVMIT, "convert", str(release), "--out", str(out), *shards, *options]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".avmit.lock"
    }


def visible(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def finished_marks(out: Path) -> int:
    """Count the shards that are finished, in the folder of whichever run."""
    marks = out.glob(".avmit-work/yamnet_effnet.*/.*.arrow.json")
    return len({mark.name for mark in marks})


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_again_and_again_the_result_is_the_same(
    release: Path, undisturbed: dict[str, bytes], tmp_path: Path, workers: str
) -> None:
    out = tmp_path / "avmit"
    moments = random.Random(int(workers))
    kept_counts = []
    for _ in range(4):
        process = subprocess.Popen(
            command(release, out, "--workers", workers),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started = finished_marks(out)
        goal = started + moments.randint(1, 4)
        while process.poll() is None and finished_marks(out) < goal:
            time.sleep(0.005)
        time.sleep(moments.random() * 0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (out / "README.md").exists():
            break
        assert visible(out) == []
        kept_counts.append(finished_marks(out))
        assert kept_counts[-1] >= started  # finished shards outlive the kill
    assert kept_counts[0] > 0
    result = subprocess.run(command(release, out), check=True, capture_output=True, text=True)
    assert "shards kept from an earlier run" in result.stdout
    assert contents(out) == undisturbed


def test_killed_at_random_moments_while_publishing(
    release: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    subprocess.run(command(release, out, "--compression", "lz4"), check=True, capture_output=True)
    before = contents(out)
    for delay in (0.0, 0.01, 0.03):
        process = subprocess.Popen(
            command(release, out), start_new_session=True, stdout=subprocess.DEVNULL
        )
        while process.poll() is None and finished_marks(out) < 20:
            time.sleep(0.005)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for name, data in contents(out).items():
            # Each visible file is of the old package or of the new one, and whole.
            if not name.startswith("."):
                assert data in (before.get(name), undisturbed.get(name)), name
    subprocess.run(command(release, out), check=True, capture_output=True)
    assert contents(out) == undisturbed


def test_ctrl_c_is_one_line_and_keeps_what_is_finished(
    release: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    process = subprocess.Popen(
        command(release, out, "--workers", "2"),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and finished_marks(out) < 2:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip() == "avmit: interrupted; run again to go on"
    assert visible(out) == []
    assert finished_marks(out) >= 2
    subprocess.run(command(release, out), check=True, capture_output=True)
    assert contents(out) == undisturbed


def test_a_second_run_into_the_same_folder_stops_with_one_line(
    release: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    first = subprocess.Popen(command(release, out, "--workers", "1"), stdout=subprocess.DEVNULL)
    while first.poll() is None and finished_marks(out) < 1:
        time.sleep(0.005)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        second = subprocess.run(command(release, out), capture_output=True, text=True)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert second.returncode == 1
    expected = f"avmit: another run is writing to {out}: wait for it, or stop it\n"
    assert second.stderr == expected
    assert first.wait() == 0
    assert contents(out) == undisturbed


def test_a_full_disk_is_one_line_and_what_is_finished_stays(
    release: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    disk, out, copy = tmp_path / "disk", tmp_path / "disk" / "avmit", tmp_path / "copy"
    disk.mkdir()
    run = " ".join(f"'{part}'" for part in command(release, out, "--workers", "2"))
    script = f"""
        {TMPFS} {disk} || exit 77
        {run}; echo "exit $?"
        ls {out}/.avmit-work/yamnet_effnet.*/.*.arrow.json | wc -l
        mount -o remount,size=100m {disk}
        {run} && cp -a {out} {copy}
    """
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    if result.returncode == 77 or "unshare failed" in result.stderr:
        pytest.skip(f"a small file system cannot be mounted here: {result.stderr}")
    line = "avmit: the disk is full: make room and run again; what was finished is kept"
    assert result.stderr.splitlines() == [line]
    output = result.stdout.splitlines()
    assert output[0] == "exit 1"
    assert int(output[1]) > 0
    assert "shards kept from an earlier run" in result.stdout
    assert contents(copy) == undisturbed


def test_changed_input_and_damaged_shards_are_made_again(release: Path, tmp_path: Path) -> None:
    out = tmp_path / "avmit"
    subprocess.run(command(release, out), check=True, capture_output=True)
    shards = sorted((out / "yamnet_effnet").glob("*.arrow"))
    count, first = len(shards), shards[0]
    good = first.read_bytes()
    first.write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
    result = subprocess.run(command(release, out), check=True, capture_output=True, text=True)
    assert f"  1 of {count} shards made again: they did not have their checksum" in result.stdout
    assert f"  {count - 1} of {count} shards kept from an earlier run" in result.stdout
    assert first.read_bytes() == good

    ratings = release / "video_ratings.csv"
    rows = ratings.read_text()
    try:
        header, one, *others = rows.splitlines()
        fields = one.split(",")
        fields[3] = str(int(fields[3]) + 1)
        ratings.write_text("\n".join([header, ",".join(fields), *others]) + "\n")
        result = subprocess.run(command(release, out), check=True, capture_output=True, text=True)
    finally:
        ratings.write_text(rows)
    assert f"  1 of {count} shards made again: their input or the options changed" in result.stdout
