"""A run that is killed at any moment leaves nothing half-made, and the next one goes on."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.people import tree

from conversion.package.workspace import WORK

Study = tuple[Path, Path]
AVMIT = [sys.executable, "-c", "from avmit_cli import main; main()"]


def command(study: Study, out: Path) -> list[str]:
    named = ["--videos", study[0], "--annotations", study[1], "--out", out, "--workers", 1]
    conditions = ["--condition", "scrambled-frames", "--condition", "scrambled-audio"]
    return [*AVMIT, "stimuli", *map(str, named), *conditions]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_run_goes_on(study: Study, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert subprocess.run(command(study, whole), capture_output=True).returncode == 0
    for least in (1, 9):
        with subprocess.Popen(command(study, out), stdout=subprocess.DEVNULL) as killed:
            until = time.monotonic() + 60
            while len([*out.glob(f"{WORK}/*/**/*.json")]) < least:
                assert killed.poll() is None and time.monotonic() < until
                time.sleep(0.005)
            killed.kill()
        assert not (out / "stimuli").exists()
    [work] = out.glob(f"{WORK}/*")
    (work / "stray.mp4").write_bytes(b"of another run")
    kept = {path: path.stat().st_mtime_ns for path in work.rglob("*.json")}
    # One that was changed since is not believed.
    changed = next(iter(kept)).with_suffix(".mp4")
    changed.write_bytes(b"changed")
    ran = subprocess.run(command(study, out), capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert tree(out) == tree(whole)
    done = {path.name: path.stat().st_mtime_ns for path in (out / "stimuli").rglob("*.json")}
    same = [path for path, mtime in kept.items() if mtime in done.values()]
    assert len(same) >= len(kept) - 1
    assert not (out / WORK).exists()
