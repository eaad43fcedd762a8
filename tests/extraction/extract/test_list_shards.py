"""`avmit extract --list --shards`: tasks on many machines make of a list what one run makes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.clips import make_clip
from support.commands import Ran, Run
from support.lists import ENCODERS, lay_out_files, write_list

from conversion.verify.verification import verify

NAMES = [f"dog/ü {number}.mp4" for number in range(6)] + ["path.mp4"]
COLUMNS = {
    "filename": NAMES,
    "label": ["b", "a | b", "b", "b", "c", "b", "b"],
    # As the columns of a plan's listing are called.
    "path": ["1.5", "2", "3", "4", "5", "6", "7"],
    "size": ["1", "2", "3", "4", "5", "6", "7"],
    "mtime_ns": ["x", "", "01", "y", "z", "\n", '"'],
    "split": ["val", "train", "val", "val", "_x", "train", "val"],
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(folder / "a.mp4", rate=5, seconds=1),
        make_clip(folder / "b.mp4", rate=5, seconds=1, amplitudes=None),
    ]


@pytest.fixture
def extract(run: Run, clips: list[Path], tmp_path: Path) -> Callable[..., Ran]:
    (tmp_path / "encoders.py").write_text(ENCODERS)
    places = [f"training/{name}" if name.startswith("dog") else name for name in NAMES]
    lay_out_files(tmp_path / "videos", places, clips)
    write_list(tmp_path / "list.csv", COLUMNS)

    def run_it(*more: object) -> Ran:
        return run(
            *("extract", "--videos", "videos", "--list", "list.csv", "--config", "mine"),
            *("--encoder-module", "encoders.py", "--audio", "loud", "--visual", "mean"),
            *("--max-shard-size", "10kB", "--on-bad-video", "skip", *more),
        )

    return run_it


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".avmit.lock"
    }


@pytest.mark.parametrize("more", [(), ("--limit", 5)])
def test_tasks_make_what_one_run_makes(
    extract: Callable[..., Ran], run: Run, tmp_path: Path, more: tuple[object, ...]
) -> None:
    (tmp_path / "videos/training/dog/ü 0.mp4").unlink()
    (tmp_path / "videos/training/dog/ü 2.mp4").unlink()
    (tmp_path / "videos/training/dog/ü 2.mp4").write_bytes(b"no video")
    ran = extract("--out", "whole", *more)
    assert (ran.code, ran.err) == (0, "")
    for part in ("0/2", "1/2"):
        ran = extract("--out", "pkg", "--shards", part, *more)
        assert (ran.code, ran.err) == (0, "")
    assert run("finish", "pkg").code == 0
    assert contents(tmp_path / "pkg") == contents(tmp_path / "whole")
    assert all(check.ok for check in verify(tmp_path / "pkg", workers=1))
    assert (
        (tmp_path / "pkg/mine/bad_videos.csv")
        .read_bytes()
        .startswith(b"filename,reason\n" + "dog/ü 0.mp4,is missing\n".encode())
    )


def test_a_plan_is_of_one_list(extract: Callable[..., Ran], tmp_path: Path) -> None:
    assert extract("--out", "pkg", "--shards", "0/2").code == 0
    folder = "pkg/.avmit-work/mine.plan"
    remedy = "start all tasks with the same, or delete it to plan again"
    ran = extract("--out", "pkg", "--shards", "1/2", "--limit", 3)
    assert ran.code == 1
    assert ran.err == (
        f"avmit: {folder} is the plan of a run with other list (--limit none, now 3): {remedy}\n"
    )
    write_list(tmp_path / "list.csv", {**COLUMNS, "size": COLUMNS["path"]})
    ran = extract("--out", "pkg", "--shards", "1/2")
    assert ran.err.startswith(f"avmit: {folder} is the plan of a run with other list (list.csv ")


def test_a_list_that_is_a_pipe(extract: Callable[..., Ran], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for more in ((), ("--shards", "0/1")):
        ran = extract("--out", "pkg", "--list", "pipe.csv", *more)
        assert (ran.code, ran.err) == (
            1,
            "avmit: pipe.csv is no regular file: --list takes a CSV with a column filename\n",
        )


def test_lists_are_not_put_beside_ratings_by_tasks(
    extract: Callable[..., Ran], package: Path, tmp_path: Path
) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "ratings").symlink_to(package / "ratings")
    ran = extract("--out", "pkg", "--shards", "0/1")
    assert (ran.code, ran.err) == (
        1,
        "avmit: pkg would have configs of AVMIT's rated videos (ratings) and of lists (mine), "
        "which do not go together: give each kind a package of its own, with another --out\n",
    )
