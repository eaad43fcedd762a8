"""The card's text, made before what it describes is published."""

import shutil
from pathlib import Path

import pytest
from support.commands import Run
from support.releases import visible

from avmit import AvmitError
from conversion.card.readme import card_text, put_card, write_card
from conversion.package.manifest import mixed_formats, read_manifest, read_package

CONFIG = "vggish_vgg16"


def test_a_config_that_is_staged_elsewhere_is_in_the_text(copied: Path, tmp_path: Path) -> None:
    whole = (copied / "README.md").read_text(encoding="utf-8")
    (copied / CONFIG).rename(tmp_path / "staged")
    write_card(copied)
    without = visible(copied)
    staged = {CONFIG: (read_manifest(tmp_path / "staged"), tmp_path / "staged")}
    text = card_text(copied, staged)
    assert visible(copied) == without
    (tmp_path / "staged").rename(copied / CONFIG)
    assert put_card(copied, text)
    assert not put_card(copied, text)
    assert (copied / "README.md").read_text(encoding="utf-8") == whole
    assert not write_card(copied)


def test_what_is_staged_stands_for_what_is_published(copied: Path, tmp_path: Path) -> None:
    shutil.copytree(copied / CONFIG, tmp_path / "staged")
    (copied / CONFIG / "manifest.json").write_text("damaged")
    staged = {CONFIG: (read_manifest(tmp_path / "staged"), tmp_path / "staged")}
    assert card_text(copied, staged) == (copied / "README.md").read_text(encoding="utf-8")


def test_the_first_config_of_all(copied: Path, tmp_path: Path) -> None:
    staged = {"ratings": (read_manifest(copied / "ratings"), copied / "ratings")}
    text = card_text(tmp_path / "nowhere", staged)
    assert 'ratings = load_dataset("avmit", "ratings", split="train")' in text
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [None, b"", b"not arrow"])
def test_a_config_whose_first_shard_is_not_whole(
    copied: Path, run: Run, content: bytes | None
) -> None:
    path = copied / "ratings" / "train-00000-of-00001.arrow"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    before = visible(copied)
    ran = run("card", copied)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {path} cannot be read as an Arrow stream (")
    assert ran.err.count("\n") == 1
    with pytest.raises(AvmitError):
        card_text(copied, {CONFIG: (read_manifest(copied / CONFIG), copied / CONFIG)})
    assert visible(copied) == before


def test_mixed_formats(copied: Path) -> None:
    manifests = read_package(copied)
    assert mixed_formats(manifests) is None
    assert mixed_formats({}) is None
    manifests[CONFIG].format = "parquet"
    assert mixed_formats(manifests) == (
        f"configs of several formats (arrow: ratings, raw_ratings, test_set; parquet: {CONFIG}), "
        "and datasets reads all configs of a package as one: convert all configs with one --format"
    )
