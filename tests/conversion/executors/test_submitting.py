"""One process at a time submits work of an output."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import ROOT

from avmit import AvmitError
from conversion.executors.submitting import STALE_SECONDS, submitting

TRY = """
import sys, time
from pathlib import Path
from avmit import AvmitError
from conversion.executors.submitting import submitting

print("ready", flush=True)
sys.stdin.readline()
try:
    with submitting(Path("avmit")):
        print("mine", flush=True)
        sys.stdin.readline()
except AvmitError as error:
    print(error, flush=True)
"""
OTHER = {"host": "elsewhere", "pid": 7, "token": "0"}


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the lock is; its folder is there."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "avmit" / ".avmit-work"
    folder.mkdir(parents=True)
    return folder / "submitting.lock"


def started(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", TRY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def go_on(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("left", [False, True])
def test_of_processes_at_once_one_submits(lock: Path, left: bool) -> None:
    if left:  # by a process that was killed: they pass it over at once
        lock.write_text(json.dumps({**OTHER, "host": socket.gethostname(), "pid": 2**30}))
    processes = [started(lock.parents[2]) for _ in range(2)]
    assert [line(process) for process in processes] == ["ready"] * 2
    for process in processes:
        go_on(process)
    said = [line(process) for process in processes]
    assert sorted(one == "mine" for one in said) == [False, True]
    first = processes[said.index("mine")]
    (told,) = [one for one in said if one != "mine"]
    assert re.fullmatch(
        rf"(process {first.pid} on {socket.gethostname()}|another process) is submitting work of "
        "avmit at this moment: run this again when that is done",
        told,
    )
    go_on(first)
    for process in processes:
        process.communicate()
    assert list(lock.parent.iterdir()) == []
    with submitting(Path("avmit")):
        assert lock.is_file()
    assert not lock.exists()


def test_a_process_elsewhere_is_waited_for(lock: Path) -> None:
    lock.write_text(json.dumps(OTHER))
    told = "process 7 on elsewhere is submitting work of avmit at this moment"
    with pytest.raises(AvmitError, match=told), submitting(Path("avmit")):
        pass
    old = lock.stat().st_mtime - STALE_SECONDS - 60
    os.utime(lock, (old, old))
    with submitting(Path("avmit")):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert list(lock.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"host": 1, "pid": []}', b"[" * 9999])
def test_a_lock_that_says_nothing(lock: Path, content: bytes) -> None:
    lock.write_bytes(content)
    with (
        pytest.raises(AvmitError, match=r"^another process is submitting work of avmit at this"),
        submitting(Path("avmit")),
    ):
        pass
    assert lock.read_bytes() == content


def test_a_lock_that_was_passed_over_is_not_removed(lock: Path) -> None:
    with submitting(Path("avmit")):
        lock.write_text(json.dumps(OTHER))
    assert json.loads(lock.read_text()) == OTHER


def test_a_folder_that_cannot_be_written_to(lock: Path) -> None:
    lock.parent.rmdir()
    lock.parent.touch()
    with (
        pytest.raises(AvmitError, match=r"^cannot write to avmit/.avmit-work \(.*\): choose anoth"),
        submitting(Path("avmit")),
    ):
        pass
