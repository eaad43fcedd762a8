"""Packages of lists on the Hub: pushed, read there and brought back, and never beside AVMIT's."""

import shutil
from pathlib import Path

import pytest
from datasets import load_dataset
from support.commands import Run
from support.hub.server import HubServer
from support.lists import make_package, write_list
from support.published import REPO, contents
from support.releases import visible

import avmit

COLUMNS = {
    "filename": ["a.mp4", "b/c.mp4", "d é.mp4", "e.mp4"],
    "label": ["x | y", "'1'", "yes", "yes"],
    "weight": ["0.5", "1", "2", "3"],
    "split": ["train", "validation", "validation", "train"],
}
APART = (
    "avmit: {} configs of AVMIT's rated videos ({}) and of lists ({}), which do not go "
    "together: give each kind a package of its own{}\n"
)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A package of a list, without a row for `e.mp4`."""
    file = write_list(tmp_path / "list.csv", COLUMNS)
    make_package(tmp_path / "listed", file, bad=["e.mp4"])
    return tmp_path / "listed"


def test_a_list_is_pushed_read_and_brought_back(
    hub: HubServer, listed: Path, run: Run, cache: Path, tmp_path: Path
) -> None:
    ran = run("push", listed, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert contents(hub.dataset(REPO).head()) == visible(listed)
    here = avmit.load("mine", data_dir=listed)
    for streaming in (False, True):
        there = load_dataset(REPO, "mine", streaming=streaming)
        assert list(there) == ["train", "validation"]
        for split, rows in there.items():
            assert list(rows) == list(here[split])
            assert rows.features["label"].names == ["'1'", "x | y", "yes"]
    assert run("push", listed, REPO).out.endswith("nothing to commit: the Hub has all of it\n")
    assert run("prefetch", REPO, "--out", "back").code == 0
    assert visible(tmp_path / "back") == visible(listed)
    assert run("verify", "back").code == 0


def test_a_split_that_is_gone_goes_on_the_hub(
    hub: HubServer, listed: Path, run: Run, tmp_path: Path
) -> None:
    assert run("push", listed, REPO).code == 0
    shutil.rmtree(listed / "mine")
    make_package(listed, write_list(tmp_path / "list.csv", {"filename": ["a.mp4"]}))
    assert run("push", listed, REPO).code == 0
    assert contents(hub.dataset(REPO).head()) == visible(listed)


def test_lists_of_other_labels_share_a_dataset(
    hub: HubServer, listed: Path, run: Run, tmp_path: Path
) -> None:
    assert run("push", listed, REPO).code == 0
    other = write_list(tmp_path / "other.csv", {"filename": ["z.mp4"], "label": ["zebra"]})
    make_package(listed, other, "other")
    assert run("push", listed, REPO, "--config", "other").code == 0
    assert contents(hub.dataset(REPO).head()) == visible(listed)
    card = (listed / "README.md").read_text(encoding="utf-8")
    assert "the 4 videos of `list.csv` and the one video of `other.csv`" in card
    assert run("verify", listed).code == 0


def test_others_files_of_a_lists_splits_are_in_the_way(
    hub: HubServer, listed: Path, run: Run
) -> None:
    assert run("push", listed, REPO).code == 0
    files = {**visible(listed), "mine/validation-more.arrow": b"x", "mine/notes-1.arrow": b"y"}
    for name, content in files.items():
        (listed.parent / "there" / name).parent.mkdir(parents=True, exist_ok=True)
        (listed.parent / "there" / name).write_bytes(content)
    hub.put_folder("ann/there", listed.parent / "there")
    ran = run("push", listed, "ann/there")
    assert ran.code == 1
    assert ran.err.startswith("avmit: mine/validation-more.arrow on the Hub is in the way")


def test_lists_and_ratings_do_not_meet_on_the_hub(
    hub: HubServer, listed: Path, package: Path, run: Run, tmp_path: Path
) -> None:
    assert run("push", package, REPO, "--config", "ratings").code == 0
    ran = run("push", listed, REPO)
    there = APART.format("there would be", "ratings", "mine", ", and a repository")
    assert (ran.code, ran.err) == (1, there)
    assert run("push", listed, "ann/listed").code == 0
    ran = run("push", package, "ann/listed", "--config", "ratings")
    assert (ran.code, ran.err) == (1, there)
    assert run("prefetch", REPO, "--out", "here").code == 0
    ran = run("prefetch", "ann/listed", "--out", "here")
    out = APART.format("here would have", "ratings", "mine", ", with another --out")
    assert (ran.code, ran.err) == (1, out)


def test_a_mixed_package_is_told_of(listed: Path, package: Path, run: Run) -> None:
    shutil.copytree(package / "ratings", listed / "ratings")
    mixed = APART.format("listed has", "ratings", "mine", "")
    assert run("card", "listed").err == mixed
    assert run("push", "listed", REPO, "--dry-run").err == mixed
    ran = run("verify", "listed")
    assert ran.code == 1 and "videos" in ran.out and "which do not go together" in ran.out
