"""Worker processes: what they are forked from."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.commands import Run
from support.places import ROOT


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


STOPPED_AT_ANY_MOMENT = """
import faulthandler, os, signal, threading, time

from conversion.workers import run_tasks

faulthandler.dump_traceback_later(50, exit=True)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it


def work(task, advance):
    time.sleep(0.001)


# Of so many tasks, the time goes into looking which have ended: that is where Ctrl-C comes.
for tenth in range(4):
    threading.Timer(0.8 + tenth / 10, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        for _ in run_tasks(work, range(12_000), 2, lambda done: None):
            pass
        raise SystemExit("it was not stopped")
    except KeyboardInterrupt:
        print("stopped")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what is run is no file to import from")
def test_ctrl_c_at_any_moment_ends_the_workers() -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-c", STOPPED_AT_ANY_MOMENT],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "stopped\n" * 4, "")
