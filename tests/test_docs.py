"""What the pages in docs/ show runs as it stands after `make demo`."""

import csv
import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.commands import Run
from support.people import textured_clip
from support.places import ROOT

import avmit

PAGES = {"train.md": 9, "brain.md": 3, "experiments.md": 1}
"""And how many blocks each has at least."""


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


BLOCKS = [(page, index) for page in PAGES for index in range(len(blocks(page)))]


@pytest.fixture(scope="module")
def with_studies(after_demo: Path) -> Path:
    """The demo's folder, with what docs/brain.md takes from other studies."""
    names = avmit.load("test_set", "test", data_dir=after_demo / "demo/avmit")
    generator = np.random.default_rng(0)
    metadata = {
        f"{1 + number:04d}": {"MiT_filename": name, "set": "train"}
        for number, name in enumerate([*names["filename"][20:8:-1], "zooming/yt-elsewhere_1.mp4"])
    }
    folder = after_demo / "derivatives" / "stimuli_metadata"
    folder.mkdir(parents=True)
    (folder / "annotations.json").write_text(json.dumps(metadata))
    np.save(after_demo / "betas.npy", generator.standard_normal((13, 30)))
    lines = [f"{200 - n},{names[n]['new_filename']}" for n in range(len(names) - 1, -1, -1)]
    (after_demo / "stimuli.csv").write_text("\n".join(["trigger,new_filename", *lines]))
    np.save(after_demo / "epochs.npy", generator.standard_normal((len(names), 8, 5)))
    return after_demo


@pytest.mark.parametrize("page", PAGES)
def test_there_is_what_to_try(page: str) -> None:
    assert len(blocks(page)) >= PAGES[page]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("page", "index"), BLOCKS)
def test_a_block_runs_as_it_stands(
    with_studies: Path, monkeypatch: pytest.MonkeyPatch, page: str, index: int
) -> None:
    block = blocks(page)[index]
    for module in re.findall(
        r"^(?:import|from) (torch|keras|jax|rsatoolbox)\b", block, re.MULTILINE
    ):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    monkeypatch.chdir(with_studies)
    exec(compile(block, f"docs/{page}, block {index}", "exec"), {"__name__": "__main__"})


@pytest.fixture
def study(after_demo: Path, tmp_path: Path) -> Path:
    """The demo's package and sources, with a generated copy of Moments in Time, in `tmp_path`."""
    pytest.importorskip("av", minversion="18")
    shutil.copytree(after_demo / "demo", tmp_path / "demo")
    clips = [textured_clip(tmp_path / f"{n}.mp4", n, seconds=0.4, loud=0.02) for n in range(4)]
    with (tmp_path / "demo" / "avmit-sources" / "video_ratings.csv").open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            path = tmp_path / "mit" / row["video_location"] / row["filename"]
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clips[number % len(clips)], path)
    return tmp_path


@pytest.mark.filterwarnings("ignore")
def test_what_people_md_shows(study: Path, run: Run) -> None:
    check_shown("people.md", 6, run)


@pytest.mark.filterwarnings("ignore")
def test_what_report_md_shows(after_demo: Path, tmp_path: Path, run: Run) -> None:
    for module in ("matplotlib", "bokeh", "sklearn"):
        pytest.importorskip(module)
    (tmp_path / "demo").symlink_to(after_demo / "demo")
    check_shown("report.md", 3, run)


def check_shown(page: str, least: int, run: Run) -> None:
    """Run each block of a page, at least so many, and compare what commands say."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"```(console|python)\n(.*?)```", text, re.DOTALL)
    assert len(found) >= least
    for kind, block in found:
        if kind == "python":
            exec(compile(block, f"docs/{page}", "exec"), {"__name__": "__main__"})
            continue
        for shown in block.split("$ ")[1:]:
            command, _, expected = shown.partition("\n")
            ran = run(*shlex.split(command)[1:])
            pattern = re.escape(expected).replace(r"\.\.\.", ".*")
            assert re.fullmatch(pattern.rstrip("\\\n"), (ran.out + ran.err).rstrip(), re.DOTALL), (
                command,
                ran,
            )
