"""Worker processes: what they are forked from."""

import os
import sys
import threading
from pathlib import Path

import pytest
from support.commands import Run


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_no_thread_runs_when_workers_are_forked(
    sharded_release: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # progress bars, as on a terminal
    before = set(threading.enumerate())
    forked: list[set[threading.Thread]] = []
    fork = os.fork

    def watched_fork() -> int:
        forked.append(set(threading.enumerate()) - before)
        return fork()

    monkeypatch.setattr(os, "fork", watched_fork)
    for arguments in (
        ("convert", sharded_release, "--max-shard-size", "400kB"),
        ("verify", "avmit"),
        ("export", "avmit", "--config", "vggish_vgg16", "--out", "records"),
    ):
        forked.clear()
        ran = run(*arguments, "--workers", 2)
        assert ran.code == 0
        assert "━" in ran.err
        assert forked and not any(forked), arguments[0]
