"""`avmit extract --shards`: many tasks, one plan, and the bytes of a single run."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import make_clip
from support.commands import Ran, Run
from support.mit import lay_out, path_of, rows
from support.places import ROOT

from conversion.parts.selection import parse_selection
from conversion.release.generate import generate_release
from extraction.pipeline import embed as pipeline

ENCODERS = """
import numpy as np
from extraction.encoders.custom import Frames, Sound, encoder

@encoder(name="colours", width=8, input=Frames(side=16))
def colours(frames):
    return np.repeat(frames.mean((1, 2))[:, :1] / 255, 8, 1)

@encoder(name="dull", width=8, input=Frames(side=16))
def dull(frames):
    return np.zeros((len(frames), 8))

@encoder(name="loud", width=4, input=Sound(16000, 0.96, 0.48))
def loud(windows):
    return np.repeat(np.abs(windows).mean(1)[:, None], 4, 1)
"""


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "sources"
    generate_release(folder, videos_per_label=3, test_per_label=1, sets=[])
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(folder / "a.mp4", rate=10),
        make_clip(folder / "b.mp4", rate=10, amplitudes=None),
        make_clip(folder / "c.mp4", rate=12, seconds=2.5, amplitudes=(0.2,)),
    ]


@pytest.fixture
def videos(tmp_path: Path, annotations: Path, clips: list[Path]) -> Path:
    return lay_out(tmp_path / "mit", annotations, clips)


Extract = Callable[..., Ran]


@pytest.fixture
def extract(run: Run, videos: Path, annotations: Path, tmp_path: Path) -> Extract:
    (tmp_path / "encoders.py").write_text(ENCODERS)

    def run_extract(*options: object, out: str = "avmit") -> Ran:
        return run("extract", *command(videos, annotations, out), *options)

    return run_extract


def command(videos: Path, annotations: Path, out: str) -> list[object]:
    return [
        *("--videos", videos, "--annotations", annotations, "--out", out, "--config", "mine"),
        *("--encoder-module", "encoders.py", "--audio", "loud", "--visual", "colours"),
        *("--max-shard-size", "10kB", "--workers", "1"),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".avmit.lock"
    }


@pytest.fixture
def whole(extract: Extract, tmp_path: Path) -> dict[str, bytes]:
    """What one run on one machine makes of the videos."""
    ran = extract(out="whole")
    assert (ran.code, ran.err) == (0, "")
    return contents(tmp_path / "whole")


def test_tasks_make_what_one_run_makes(
    extract: Extract, run: Run, whole: dict[str, bytes], tmp_path: Path
) -> None:
    ran = extract("--shards", "1/3")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "mine: 1 shard of 1/3 made now",
        "2 shards of 3 are left",
    ]
    ran = run("finish", "avmit")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "mine/train-00000-of-00002.arrow: not started",
        "mine/test-00000-of-00001.arrow: not started",
    ]
    assert ran.err == "avmit: mine: 2 of 3 shards are not done: run their tasks again\n"
    assert [path.name for path in (tmp_path / "avmit").iterdir()] == [".avmit-work"]
    ran = extract("--shards", "0-2/3")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "mine: 2 shards of 0-2/3 made now, 1 was there",
        "all 3 shards are done: `avmit finish avmit`",
    ]
    ran = run("finish", "avmit")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "mine: train 32 rows, test 16 rows",
        'avmit: load it with load_dataset("avmit", "mine")',
    ]
    assert contents(tmp_path / "avmit") == whole
    assert not (tmp_path / "avmit" / ".avmit-work").exists()
    ran = run("finish", "avmit")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: nothing in avmit waits to be finished: `--shards` makes a plan of a run first\n"
    )


def test_what_is_published_is_taken_again(
    extract: Extract, run: Run, whole: dict[str, bytes], tmp_path: Path
) -> None:
    assert extract("--shards", "0/1", out="whole").code == 0
    ran = run("finish", "whole", "--config", "mine")
    assert (ran.code, ran.out.splitlines()[0]) == (
        0,
        "mine: train 32 rows, test 16 rows (unchanged)",
    )
    assert contents(tmp_path / "whole") == whole


def test_a_part_that_has_no_shards(extract: Extract) -> None:
    ran = extract("--shards", "7/9")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("no shards in 7/9, for there are 3 in all\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3", "write PART/PARTS, such as 3/16, or 2,5-7/16 for several parts"),
        ("a/b", "write PART/PARTS, such as 3/16, or 2,5-7/16 for several parts"),
        ("0/0", "write PART/PARTS, such as 3/16, or 2,5-7/16 for several parts"),
        ("3/3", "there is no part 3; of 3 parts the first is 0 and the last 2"),
        ("0,2-5/5", "there is no part 2-5; of 5 parts the first is 0 and the last 4"),
        ("2-1/5", "there is no part 2-1; of 5 parts the first is 0 and the last 4"),
    ],
)
def test_what_selects_no_shards(extract: Extract, text: str, reason: str) -> None:
    ran = extract("--shards", text)
    assert (ran.code, ran.err) == (1, f"avmit: --shards {text}: {reason}\n")


def test_parts_cover_all_shards_once() -> None:
    chosen = [parse_selection(text).numbers(23) for text in ("0,3/5", "1-2/5", "4/5")]
    assert sorted(itertools.chain(*chosen)) == list(range(23))
    assert chosen[2] == [4, 9, 14, 19]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-shard-size", "20kB"], "other options (--max-shard-size 10000, now 20000)"),
        (["--visual", "none"], "other encoders (visual {'name': 'colours'}, now none)"),
        (["--visual", "dull"], "other encoders (visual: name colours, now dull)"),
    ],
)
def test_another_run_in_the_same_place_is_one_line(
    extract: Extract, options: list[str], said: str
) -> None:
    assert extract("--shards", "0/3").code == 0
    ran = extract("--shards", "1/3", *options)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"avmit: avmit/.avmit-work/mine.plan is the plan of a run with {said}: start all tasks "
        "with the same, or delete it to plan again\n"
    )


def test_other_annotations_are_one_line(
    extract: Extract, annotations: Path, tmp_path: Path
) -> None:
    assert extract("--shards", "0/3").code == 0
    other = shutil.copytree(annotations, tmp_path / "other")
    file = other / "video_ratings.csv"
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    ran = extract("--shards", "1/3", "--annotations", other)
    assert ran.code == 1
    assert "is the plan of a run with other annotations (video_ratings.csv " in ran.err
    assert ran.err.count("\n") == 1


def test_other_encoders_or_libraries_are_one_line(extract: Extract, tmp_path: Path) -> None:
    assert extract("--shards", "0/3").code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "__version__", "0.1")
        ran = extract("--shards", "1/3")
    assert ran.code == 1
    assert ran.err.startswith(
        "avmit: the other tasks of 'mine' began with other encoders or libraries (libraries: "
        f"numpy {np.__version__}, now 0.1): run all with the same, or delete avmit/.avmit-work/"
    )
    (tmp_path / "encoders.py").write_text(ENCODERS + "# of other code\n")
    ran = extract("--shards", "1/3")
    assert "began with other encoders or libraries (encoders: audio: weights_sha256 " in ran.err


def test_a_video_that_changes_after_the_plan(
    extract: Extract, run: Run, videos: Path, annotations: Path
) -> None:
    assert extract("--shards", "2/3").code == 0
    tested = (annotations / "test_set.csv").read_text(encoding="utf-8")
    row = next(row for row in rows(annotations) if row["filename"] not in tested)
    os.utime(path_of(videos, row))
    ran = extract("--shards", "0-2/3")
    assert ran.code == 1
    assert ran.err.endswith(
        "is not as it was when the run was planned: put it back, or delete "
        "avmit/.avmit-work/mine.plan to plan again\n"
    )
    failed = [line for line in run("jobs", "avmit").out.splitlines() if "failed" in line]
    assert len(failed) == 2  # with the totals
    assert "is not as it was when the run was planned" in failed[0]
    os.utime(path_of(videos, row), ns=(10**18, 10**18))
    assert extract("--shards", "0-2/3").code == 0
    assert run("finish", "avmit").code == 0


def test_bad_videos(
    extract: Extract, run: Run, videos: Path, annotations: Path, tmp_path: Path
) -> None:
    gone, broken = rows(annotations)[:2]
    path_of(videos, gone).unlink()
    ran = extract("--shards", "0/1")
    assert ran.code == 1
    assert f"{gone['filename']} is missing. Mend them and run again, or leave" in ran.err
    assert not (tmp_path / "avmit/.avmit-work/mine.plan/plan.json").exists()
    path_of(videos, broken).write_bytes(b"nonsense")
    assert extract("--on-bad-video", "skip", out="whole").code == 0
    ran = extract("--shards", "0-1/2", "--on-bad-video", "skip")
    assert (ran.code, ran.err) == (0, "")
    assert "  2 left out\n" in ran.out
    # A task that allows none says so of what another left out, and undoes nothing.
    ran = extract("--shards", "0/1")
    assert ran.code == 1
    assert (
        f"bad videos in {videos}: {gone['filename']} is missing; {broken['filename']} is not "
        in (ran.err)
    )
    ran = run("finish", "avmit")
    assert (ran.code, ran.err) == (0, "")
    assert "  2 left out: all in mine/bad_videos.csv\n" in ran.out
    assert contents(tmp_path / "avmit") == contents(tmp_path / "whole")


def test_retry_failed_is_for_what_is_finished(extract: Extract) -> None:
    ran = extract("--shards", "0/1", "--retry-failed")
    assert ran.err == ("avmit: --retry-failed is not for --shards: run it after `avmit finish`\n")


SLOWLY = """
import sys, time
from extraction.extract import checkpoint
from extraction.pipeline import embed as pipeline
import avmit_cli
checkpoint.EVERY_SECONDS = 0.0
decode = pipeline._decode
def slowly(*arguments):
    time.sleep(0.05)
    return decode(*arguments)
pipeline._decode = slowly
sys.argv = ["avmit", *sys.argv[1:]]
avmit_cli.main()
"""


def start(tmp_path: Path, arguments: list[object]) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "extract", *map(str, arguments)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_task_is_gone_on_with_and_two_at_once_agree(
    extract: Extract,
    run: Run,
    whole: dict[str, bytes],
    videos: Path,
    annotations: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = [*command(videos, annotations, "avmit"), "--shards", "0/3"]
    process = start(tmp_path, arguments)
    parts = "avmit/.avmit-work/mine.plan/parts/train-00000-of-00002.arrow/*.spill"
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob(parts))) < 10 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    kept = len(list(tmp_path.glob(parts)))
    assert kept >= 10

    decoded: list[object] = []
    decode = pipeline._decode

    def counted(path: Path | None, sides: Any) -> Any:
        decoded.append(path)
        return decode(path, sides)

    monkeypatch.setattr("extraction.pipeline.embed._decode", counted)
    assert extract("--shards", "0/3").code == 0
    assert 16 - kept <= len(decoded) < 16
    assert not list(tmp_path.glob(parts))

    both = [
        start(tmp_path, [*command(videos, annotations, "avmit"), "--shards", "0/1"])
        for _ in range(2)
    ]
    for one in both:
        out, err = one.communicate(timeout=120)
        assert (one.returncode, err) == (0, "")
        assert "all 3 shards are done" in out
    assert run("finish", "avmit").code == 0
    assert contents(tmp_path / "avmit") == whole
    assert not (tmp_path / "avmit" / ".avmit-work").exists()
