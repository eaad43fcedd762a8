"""What the README says runs after `make demo` runs, and prints what the README says it prints."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.commands import Run
from support.hub.server import HubServer
from support.places import ROOT
from support.releases import shard_rows

from conversion.package.manifest import read_package
from experiments.report.figures import png
from experiments.report.measures.counts import read_videos
from experiments.report.sections import ratings

README = (ROOT / "README.md").read_text(encoding="utf-8")
MARKED = re.findall(r"<!-- after make demo -->\n```(\w+)\n(.*?)```", README, re.DOTALL)
AVMIT = Path(sys.executable).with_name("avmit")


def execute(command: list[str | Path], folder: Path) -> str:
    environment = {
        **os.environ,
        "COLUMNS": "100",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "HF_DATASETS_CACHE": str(folder / "cache"),
    }
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Split a console block into commands and the lines that each is to print."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:].partition("  #")[0].strip(), []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def assert_printed(out: str, wanted: list[str]) -> None:
    """Check that lines stand in `out` in their order; `...` is for lines that are left out."""
    printed = [line.strip() for line in out.splitlines() if line.strip()]
    start, skip = 0, False
    for line in map(str.strip, wanted):
        if line == "...":
            skip = True
            continue
        assert line in printed[start:], f"not printed, or not there: {line}\n{out}"
        place = printed.index(line, start)
        assert skip or place == start, f"what comes before this is left out: {line}"
        start, skip = place + 1, False
    assert skip or start == len(printed), "what comes at the end is left out"


def test_there_is_what_to_try() -> None:
    assert [kind for kind, _ in MARKED] == [
        *("console", "python", "python", "pycon", "python", "console"),
    ]


def test_make_demo_writes_where_the_readme_says() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "avmit demo --out demo/avmit\n" in makefile


@pytest.mark.parametrize("index", range(len(MARKED)))
def test_a_block_runs_as_it_stands(after_demo: Path, tmp_path: Path, index: int) -> None:
    kind, block = MARKED[index]
    if kind == "python":
        execute([sys.executable, "-c", block], after_demo)
    elif kind == "pycon":
        (tmp_path / "block.txt").write_text(block, encoding="utf-8")
        execute([sys.executable, "-m", "doctest", tmp_path / "block.txt"], after_demo)
    else:
        for command, wanted in commands(block):
            program, *arguments = shlex.split(command)
            assert program == "avmit"
            assert_printed(execute([AVMIT, *arguments], after_demo), wanted)


def test_the_plan_of_a_push(
    hub: HubServer, after_demo: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [block for block in console_blocks() if "demo/avmit user/avmit --dry-run" in block]
    ((command, wanted),) = commands(block)
    assert command == "avmit push demo/avmit user/avmit --dry-run"
    monkeypatch.chdir(after_demo)
    ran = run("push", "demo/avmit", "ann/avmit", "--dry-run")
    assert ran.code == 0
    assert_printed(ran.out, [line.replace("user/avmit", "ann/avmit") for line in wanted])


def test_videos_that_the_csvs_do_not_rate(run: Run, tmp_path: Path) -> None:
    clips = pytest.importorskip("support.clips")
    (block,) = [block for block in console_blocks() if "--list own.csv" in block]
    lines = dict(commands(block))["cat own.csv"]
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("a", "b"):
        clips.make_clip(tmp_path / "videos" / "juggling" / f"{name}.mp4")
    (tmp_path / "mean.py").write_text(
        "from extraction import Frames, encoder\n\n\n"
        '@encoder(name="mean", width=3, input=Frames(side=8))\n'
        "def mean(frames):\n    return frames.mean((1, 2))\n"
    )
    ran = run(
        *("extract", "--videos", "videos", "--list", "own.csv", "--audio", "none"),
        *("--encoder-module", "mean.py", "--visual", "mean"),
        *("--config", "juggling", "--out", "own-package"),
    )
    assert (ran.code, ran.err) == (0, "")
    rows = shard_rows(tmp_path / "own-package", "juggling", "train")
    assert [row["filename"] for row in rows] == ["juggling/a.mp4", "juggling/b.mp4"]
    assert np.asarray(rows[0]["visual"]).shape == (6, 3)
    assert run("verify", "own-package").code == 0


def console_blocks() -> list[str]:
    return re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def test_links_within_the_readme_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.M)
    anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", README))
    assert links
    assert links <= anchors


def test_links_to_files_lead_to_one() -> None:
    for folder, text in [
        (ROOT, README),
        *((path.parent, path.read_text(encoding="utf-8")) for path in (ROOT / "docs").glob("*.md")),
    ]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (folder / link).exists(), link


def test_the_picture_is_what_the_report_draws_of_the_demo(after_demo: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    committed = ROOT / "docs" / "figures" / "ratings.png"
    assert f"]({committed.relative_to(ROOT).as_posix()})" in README
    assert committed.stat().st_size < 80_000
    videos = read_videos(after_demo / "demo/avmit", read_package(after_demo / "demo/avmit"))
    (section,) = ratings(videos)
    (drawn,) = [picture.drawn for picture in section.pictures if picture.name == "ratings"]
    (tmp_path / "ratings.png").write_bytes(png(drawn))
    # Another version of matplotlib may draw some pixels otherwise.
    found, wanted = image.imread(tmp_path / "ratings.png"), image.imread(committed)
    assert found.shape == wanted.shape
    assert float(np.abs(found - wanted).mean()) < 0.01
