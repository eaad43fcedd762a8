"""Manifests and folders that are not what they say."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.damage import EMBEDDINGS, TEST, TRAIN, edit_manifest, entry, failures
from support.releases import visible

import avmit
from conversion.card.readme import write_card
from conversion.convert.build import Options, convert
from conversion.package.writer import Encoding
from conversion.verify.verification import verify

MANIFESTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "config": (
        lambda m: m.update(config="other"),
        f"config is 'other', its folder '{EMBEDDINGS}'",
    ),
    "format": (lambda m: m.update(format=["arrow"]), "format is ['arrow']"),
    "compression": (lambda m: m.update(compression="gzip"), "compression is 'gzip'"),
    "source": (lambda m: m.update(source="here"), "source has no kind"),
    "missing": (lambda m: m.update(missing_records=-1), "missing_records is -1"),
    "bad": (lambda m: m.update(bad_records=True), "bad_records is True"),
    "dims": (lambda m: m.update(dims={"audio": 128, "visual": "512"}), "dims are {'audio': 128, "),
    "no dims": (lambda m: m.update(dims={}), "dims are empty"),
    "splits": (lambda m: m.update(splits={}), "a split has no shards"),
    "split": (
        lambda m: m["splits"].update(validation=m["splits"]["test"]),
        "a split is called 'validation'",
    ),
    "file": (
        lambda m: entry(m, TEST).update(file="../ratings/x.arrow"),
        "a shard's file is '../ratings/x.arrow'",
    ),
    "hidden file": (lambda m: entry(m, TEST).update(file=".x"), "a shard's file is '.x'"),
    "rows": (lambda m: entry(m, TEST).update(rows="16"), f"{TEST}: rows is '16'"),
    "bytes": (lambda m: entry(m, TEST).update(bytes=1.5), f"{TEST}: bytes is 1.5"),
    "sum": (lambda m: entry(m, TEST).update(sha256="ab"), f"{TEST}: sha256 is 'ab'"),
    "timesteps": (
        lambda m: entry(m, TEST).update(timesteps={"audio": [3, 3]}),
        f"{TEST}: timesteps are {{'audio': [3, 3]}}",
    ),
    "range": (
        lambda m: entry(m, TEST)["timesteps"].update(audio=[3]),
        f"{TEST}: timesteps of audio are [3]",
    ),
}


@pytest.mark.parametrize("case", list(MANIFESTS))
def test_a_manifest_of_the_wrong_kind(copied: Path, case: str) -> None:
    change, text = MANIFESTS[case]
    edit_manifest(copied, EMBEDDINGS, change)
    found = {name: found for name, where, found in failures(copied) if where == EMBEDDINGS}
    assert found["manifest"].startswith(text)
    assert found["rows"] == "not checked: manifest or shards are not sound"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"splits": 3}', '{"splits": {"train": [1]}}', "[" * 100_000]
)
def test_a_manifest_that_is_none(copied: Path, text: str) -> None:
    (copied / EMBEDDINGS / "manifest.json").write_text(text)
    found = [(name, where) for name, where, _ in failures(copied)]
    assert found == [("card configs", "README.md"), ("manifest", EMBEDDINGS), ("rows", EMBEDDINGS)]


def test_files_that_the_manifest_does_not_name(copied: Path) -> None:
    folder = copied / EMBEDDINGS
    (folder / ".hidden").touch()
    (folder / "notes.txt").touch()
    shutil.copy(folder / TEST, folder / "test-00001-of-00002.arrow")
    found = "the manifest does not name notes.txt; the manifest does not name test-00001-of-00002"
    assert failures(copied) == [
        ("card splits", "README.md", f"split test of {EMBEDDINGS} does not lead to its shards"),
        ("files", EMBEDDINGS, f"{found}.arrow"),
    ]


def test_a_shard_dropped_with_its_entry(copied: Path) -> None:
    (copied / EMBEDDINGS / TRAIN[0]).unlink()
    edit_manifest(copied, EMBEDDINGS, lambda manifest: manifest["splits"]["train"].pop(0))
    found = {name: found for name, where, found in failures(copied) if where == EMBEDDINGS}
    assert found == {
        "manifest": f"train shard 0 of 1 is {TRAIN[1]}",
        "rows": "not checked: manifest or shards are not sound",
    }


def test_folders_and_scripts_that_keep_the_package_from_loading(copied: Path) -> None:
    (copied / "avmit.py").touch()
    (copied / "test_set/manifest.json").unlink()
    write_card(copied)
    assert failures(copied) == [
        (
            "package",
            ".",
            "test_set has shards and no manifest.json; "
            "avmit.py keeps datasets from loading the folder: take it away",
        )
    ]


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_folder_that_is_no_package_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(avmit.AvmitError, match=r"make (a package|one) with `avmit convert"):
        verify(tmp_path / folder)


def test_configs_of_several_formats(
    copied: Path, small_release: Path, tmp_path: Path, run: Run
) -> None:
    other = tmp_path / "other"
    convert(small_release, other, Options(workers=1, encoding=Encoding("parquet")))
    shutil.rmtree(copied / "raw_ratings")
    shutil.copytree(other / "raw_ratings", copied / "raw_ratings")
    problem = (
        "configs of several formats (arrow: ratings, test_set, vggish_vgg16; "
        "parquet: raw_ratings), and datasets reads all configs of a package as one: "
        "convert all configs with one --format"
    )
    assert ("format", ".", problem) in failures(copied)
    before = visible(copied)
    ran = run("card", copied)
    assert (ran.code, ran.out, ran.err) == (1, "", f"avmit: {copied} has {problem}\n")
    assert visible(copied) == before
    assert ("format", ".", "parquet") in {
        (c.name, c.where, c.found) for c in verify(other, workers=1)
    }
