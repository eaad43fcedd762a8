"""`avmit extract --executor`, as far as it goes without Slurm or Ray."""

import os
import re
import time
from pathlib import Path

import pytest
from support.clips import make_clip
from support.commands import Ran, Run
from support.lab import BY_HELD, Lab, ended
from support.mit import lay_out
from support.places import ROOT
from support.slurm import until

from conversion.release.generate import generate_release
from extraction.cli import COMMANDS

MEAN = """
from extraction import Frames, encoder


@encoder(name="mean", width=3, input=Frames(side=8))
def mean(frames):
    return frames.mean((1, 2))
"""


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name all caches, so that no second process is started that has them."""
    for name in ("KAGGLEHUB_CACHE", "KERAS_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))


@pytest.fixture
def extract(run: Run, tmp_path: Path) -> Run:
    generate_release(tmp_path / "sources", videos_per_label=1, test_per_label=1, sets=[])
    lay_out(tmp_path / "mit", tmp_path / "sources", [make_clip(tmp_path / "a.mp4", seconds=0.4)])
    (tmp_path / "mean.py").write_text(MEAN)

    def extracted(*more: object) -> Ran:
        return run(
            *("extract", "--videos", "mit", "--annotations", "sources", "--config", "mine"),
            *("--encoder-module", "mean.py", "--audio", "none", "--visual", "mean", *more),
        )

    return extracted


def test_a_dry_run_shows_what_would_be_submitted(extract: Run, tmp_path: Path) -> None:
    ran = extract("--executor", "slurm", "--dry-run", "--slurm-time", "4:00:00")
    assert (ran.code, ran.err) == (0, "")
    folder = Path("avmit", ".avmit-work", "mine.slurm")
    lines = ran.out.splitlines()
    assert lines[0] == f"# {folder}/array.sh"
    assert lines[1] == "#!/bin/bash"
    assert lines[-2:] == [
        f"sbatch {folder}/array.sh",
        f"sbatch --dependency=afterany:ARRAY {folder}/finish.sh",
    ]
    assert "#SBATCH --array=0" in lines
    assert "#SBATCH --time=4:00:00" in lines
    assert "export HF_HUB_OFFLINE=1" in lines
    assert f"export HF_HOME={os.environ['HF_HOME']}" in lines
    assert f"export AVMIT_WEIGHTS={tmp_path}/avmit/.avmit-work/weights" in lines
    (command,) = [line for line in lines if "--shards" in line]
    arguments = "--videos=mit --audio=none --visual=mean --config=mine --annotations=sources"
    said = f' -P -m avmit_cli extract --shards "$SLURM_ARRAY_TASK_ID/1" {arguments}'
    assert f"{said} --encoder-module=mean.py &" in command
    last = lines.index(f"# {folder}/finish.sh")
    assert (tmp_path / folder / "array.sh").read_text().splitlines() == lines[1:last]
    assert (tmp_path / folder / "finish.sh").read_text().splitlines() == lines[last + 1 : -2]


@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_a_folder_that_cannot_be_written_to_is_one_line(
    extract: Run, tmp_path: Path, engine: str
) -> None:
    (tmp_path / "file").touch()
    ran = extract("--executor", engine, "--out", "file/avmit")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: cannot write to file/avmit/.avmit-work/weights (Not a directory): choose another "
        "--out\n"
    )


def test_where_there_is_no_slurm(extract: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ran = extract("--executor", "slurm")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: no sbatch here: run this where jobs are submitted to Slurm, see the script with "
        "--dry-run, or compute shards by --shards 0/16 and so on\n"
    )


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--wait"], "--wait is for --executor slurm: leave it away, or give that"),
        (["--slurm-time", "1:00:00"], "--slurm-time is for --executor slurm: leave it away"),
        (["--executor", "slurm", "--ray-gpus", "1"], "--ray-gpus is for --executor ray: leave it"),
        (["--executor", "slurm", "--shards", "0/2"], "--shards with --executor slurm: leave one"),
        (["--executor", "ray", "--retry-failed"], "--retry-failed with --executor ray: leave one"),
        (["--executor", "slurm", "--slurm-time", "3"], "--slurm-time 3 is too short for --slurm-g"),
        (["--executor", "slurm", "--slurm", "array=1"], "--slurm array=1: avmit sets array itself"),
        (["--weights-folder", "x"], "--weights-folder is for --executor slurm and ray: leave it"),
    ],
)
def test_options_that_do_not_go_together(extract: Run, options: list[str], line: str) -> None:
    ran = extract(*options)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {line}")
    assert ran.err.count("\n") == 1


def test_the_guide_names_options_that_there_are() -> None:
    text = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
    known = {option for p in COMMANDS["extract"].load("extract").params for option in p.opts}
    known |= {"--failed", "--requeue", "--simulate"}  # of others
    of_avmit = re.sub(r"parallel --.*|apptainer exec [^\n]*?avmit\b", "", text)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", of_avmit))
    assert len(named) > 20
    assert named <= known


def test_a_task_that_is_ended_keeps_what_it_has(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {})
    hold = lab.folder / "hold-None"
    hold.touch()
    # Kept is what is done up to the first video that is not; a second thread may overtake that.
    command = lab.command("avmit", *BY_HELD, "--shards", "0/1", "--workers", "1")
    process = lab.start(*command)
    until(lambda: lab.calls >= 3)
    time.sleep(0.3)
    process.terminate()
    time.sleep(0.3)
    hold.unlink()
    line = "avmit: interrupted; run again to go on\n"
    assert ended(process) == (130, "", line)
    assert lab.calls < 16
    before = lab.calls
    assert ended(lab.start(*command)).code == 0
    assert lab.calls - before < 16
