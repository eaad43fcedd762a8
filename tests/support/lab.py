"""A folder with videos and an encoder that can be held, to disturb those who use it meanwhile."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from conversion.release.generate import generate_release
from support.clips import make_clip
from support.commands import Ran
from support.mit import lay_out
from support.places import ROOT

OURS = (".avmit-work", ".avmit.lock")

HELD = '''
"""An encoder whose task is held at its third video while a file says so; each call is noted."""

import itertools
import os
import time
from pathlib import Path

import numpy as np

from extraction import Sound, encoder

HERE = Path(__file__).parent
HOLD = HERE / f"hold-{os.environ.get('SLURM_ARRAY_TASK_ID')}"
ASKED = itertools.count(1)


@encoder(name="held", width=96, input=Sound(), step_ms=480)
def held(waveform):
    number = next(ASKED)
    with (HERE / "calls").open("a") as calls:
        calls.write(f"{HOLD.name}\\n")
    while number > 2 and HOLD.exists():
        time.sleep(0.02)
    return np.outer(np.arange(1, 7), waveform[:96])
'''

BY_HELD = ("--encoder-module", "held.py", "--audio", "held", "--visual", "none")


class Lab:
    """A folder with 16 videos and an encoder of them."""

    def __init__(self, folder: Path, environment: Mapping[str, str]):
        self.folder = folder
        caches = {name: str(folder / "caches") for name in ("KAGGLEHUB_CACHE", "KERAS_HOME")}
        caches["TORCH_HOME"] = caches["KERAS_HOME"]
        python = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self.environment = {**environment, **caches, **python}
        clip = make_clip(folder / "clip.mp4", rate=10, seconds=0.4)
        generate_release(folder / "sources", videos_per_label=1, test_per_label=1, sets=[])
        lay_out(folder / "mit", folder / "sources", [clip])
        (folder / "held.py").write_text(HELD)

    @property
    def calls(self) -> int:
        """How often the encoder was called."""
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    def avmit(self, *arguments: str) -> Ran:
        return ended(self.start(*arguments))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "avmit_cli", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def extract(self, out: str, size: str, *more: str) -> Ran:
        """Run `avmit extract` with the encoder above; 16 rows of a size of 2,688 bytes."""
        return self.avmit(*self.command(out, "--max-shard-size", size, *BY_HELD, *more))

    def extract_by(self, out: str, *more: str) -> Ran:
        return self.avmit(*self.command(out, *more))

    def command(self, out: str, *more: str) -> tuple[str, ...]:
        common = ("--videos", "mit", "--annotations", "sources", "--config", "mine")
        return ("extract", "--out", out, *common, *more)

    def hold(self, task: int) -> Path:
        """Return the file that holds a task while it is there."""
        return self.folder / f"hold-{task}"

    def process(self, task: int) -> int:
        """Return the number of the process that does a task."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (folder / "cmdline").read_bytes().split(b"\0")
                here = (folder / "cwd").resolve() == self.folder.resolve()
            except OSError:  # it has ended
                continue
            if here and f"{task}/4".encode() in arguments:
                return int(folder.name)
        raise AssertionError(f"no process does task {task}")

    def log(self, out: str, job: str) -> str:
        return (self.folder / out / ".avmit-work" / "mine.slurm" / f"{job}.log").read_text()


def ended(process: "subprocess.Popen[str]") -> Ran:
    """Wait for a command, and return what it left."""
    out, err = process.communicate()
    return Ran(process.returncode, out, err)


def files(package: Path) -> dict[str, bytes]:
    """Return what a package holds, but for what avmit works with."""
    found = {path.relative_to(package): path for path in package.rglob("*") if path.is_file()}
    ours = (".avmit-work", ".avmit.lock")
    return {
        str(name): path.read_bytes() for name, path in found.items() if name.parts[0] not in ours
    }
