"""Links that somebody put into a folder lead no command to write, or delete, outside of it."""

import os
import shutil
from pathlib import Path

import pytest
from support.commands import Run
from support.releases import visible


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the user's own, outside of every package."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "file").write_text("years of work")
    return folder


@pytest.fixture
def untouched(victim: Path) -> dict[str, bytes]:
    return visible(victim)


@pytest.mark.parametrize(
    "link",
    [
        ".avmit-work",
        ".avmit-work/ratings",
        ".avmit-work/ratings.there-1-00000000",
        ".avmit.lock",
        ".README.md.part",
        ".ratings.replaced",
        "ratings",
    ],
)
@pytest.mark.parametrize("to", ["victim", "victim/file"])
def test_convert_follows_no_link_out_of_a_package(
    small_release: Path,
    run: Run,
    tmp_path: Path,
    victim: Path,
    untouched: dict[str, bytes],
    link: str,
    to: str,
) -> None:
    path = tmp_path / "avmit" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / to)
    ran = run("convert", small_release, "--config", "ratings")
    assert visible(victim) == untouched
    assert path.is_symlink()
    assert ran.err.count("\n") == ran.code
    if link in (".avmit-work", "ratings", ".avmit.lock"):
        assert ran.code == 1
    else:
        assert (tmp_path / "avmit" / "ratings" / "manifest.json").is_file()


@pytest.mark.parametrize("link", [".avmit-work", "ratings"])
def test_the_line_names_the_link(
    small_release: Path, run: Run, tmp_path: Path, victim: Path, link: str
) -> None:
    (tmp_path / "avmit").mkdir()
    (tmp_path / "avmit" / link).symlink_to(victim)
    ran = run("convert", small_release, "--config", "ratings")
    assert ran.err in (
        "avmit: avmit/.avmit-work is not a folder of avmit's but a link or a file: delete it\n",
        "avmit: avmit/ratings would be replaced and avmit did not make it: move it away, or choose "
        "another --out\n",
    )
    assert link in ran.err


def test_links_among_what_an_earlier_run_left_are_not_followed(
    small_release: Path, run: Run, tmp_path: Path, victim: Path, untouched: dict[str, bytes]
) -> None:
    run("convert", small_release, "--config", "ratings")
    shard = "train-00000-of-00001.arrow"
    # Of a run on this machine that has ended: what it left may be moved and removed.
    host = os.uname().nodename.replace(".", "-").replace("_", "-")
    left = tmp_path / "avmit" / ".avmit-work" / f"ratings.{host}-999999999-00000000"
    left.mkdir(parents=True)
    for name in (shard, f".{shard}.json", ".avmit-0123456789abcdef.part", f".{shard}.part"):
        (left / name).symlink_to(victim / "file")
    shutil.copy(tmp_path / "avmit" / "ratings" / "manifest.json", left)
    assert run("convert", small_release, "--config", "ratings").code == 0
    assert visible(victim) == untouched
    assert not (tmp_path / "avmit" / "ratings" / shard).is_symlink()


def test_a_card_that_is_a_link_is_replaced_and_not_written_through(
    small_release: Path, run: Run, tmp_path: Path, victim: Path, untouched: dict[str, bytes]
) -> None:
    run("convert", small_release, "--config", "ratings")
    card = tmp_path / "avmit" / "README.md"
    text = card.read_text()
    card.unlink()
    card.symlink_to(victim / "file")
    (tmp_path / "avmit" / ".README.md.part").symlink_to(victim / "file")
    assert run("card", "avmit").code == 0
    assert visible(victim) == untouched
    assert not card.is_symlink()
    assert "years of work" in card.read_text()
    assert text.splitlines()[-1] in card.read_text()
