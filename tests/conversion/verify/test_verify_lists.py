"""What `avmit verify` and the reader of manifests say of damaged packages of lists."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.damage import failures, setting, tamper, with_values
from support.lists import make_package, write_list

from avmit import AvmitError
from conversion.package.manifest import read_manifest
from conversion.verify.verification import verify

TRAIN = "train-00000-of-00001.arrow"
COLUMNS = {
    "filename": ["a.mp4", "b.mp4", "c.mp4", "d.mp4"],
    "label": ["cat", "dog", "cat", "dog"],
    "n": ["1", "2", "3", "4"],
    "split": ["train", "train", "val", "train"],
}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A package of a list, without a row for `d.mp4`."""
    make_package(tmp_path / "pkg", write_list(tmp_path / "list.csv", COLUMNS), bad=["d.mp4"])
    assert all(check.ok for check in verify(tmp_path / "pkg", workers=1))
    return tmp_path / "pkg"


def test_rows_that_cannot_be(listed: Path) -> None:
    tamper(listed, "mine", TRAIN, with_values("label", setting(1, 2)))
    assert failures(listed) == [("labels", "mine", "train row 1, b.mp4: 2 has no name")]
    tamper(listed, "mine", TRAIN, with_values("label", setting(1, 0)))
    tamper(listed, "mine", TRAIN, with_values("filename", setting(1, "c.mp4")))
    assert failures(listed) == [
        ("complete", "mine", "3 videos have a row or are listed without, and 4 should"),
        ("unique", "mine", "c.mp4 is in train and val"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("filename,reason\n", "bad_videos.csv names 0 videos, the manifest 1"),
        ("filename,reason\na.mp4,x\n", "a.mp4 has a row and stands in bad_videos.csv"),
        ("filename,reason\nd.mp4,x\nd.mp4,y\n", "bad_videos.csv names 2 videos, the manifest 1"),
    ],
)
def test_a_list_of_bad_videos_that_cannot_be(listed: Path, text: str, said: str) -> None:
    (listed / "mine" / "bad_videos.csv").write_text(text)
    ((check, where, found),) = failures(listed)
    assert (check, where) == ("complete", "mine")
    assert found.startswith(said)


CASES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a list": (lambda m: m["source"].update(videos=[1]), "videos of source is [1]"),
    "no list": (lambda m: m["source"]["videos"].pop("list"), "the videos have not all of list, "),
    "no sum": (lambda m: m["source"]["videos"].pop("sha256"), "the videos have not all of list, "),
    "no count": (lambda m: m["source"]["videos"].pop("count"), "the videos have not all of list,"),
    "a name": (lambda m: m["source"]["videos"].update(list=5), "list of the videos is 5"),
    "a sum": (lambda m: m["source"]["videos"].update(sha256="x"), "sha256 of the videos is 'x'"),
    "a count": (lambda m: m["source"]["videos"].update(count=-1), "count of the videos is -1"),
    "true": (lambda m: m["source"]["videos"].update(count=True), "count of the videos is True"),
    "none": (lambda m: m["source"]["videos"].update(limit=0), "limit of the videos is 0"),
    "more": (lambda m: m["source"]["videos"].update(x=1), "of the videos 'x' is unknown"),
    "split": (lambda m: rename(m, "val", "a/b"), "a split is called 'a/b'"),
    "all": (lambda m: rename(m, "val", "all"), "a split is called 'all'"),
    "not listed": (lambda m: m["source"].pop("videos"), "a split is called 'val'"),
    "csv": (lambda m: records(m), "source has videos"),
}


def rename(manifest: Any, old: str, new: str) -> None:
    manifest["splits"] = {new if s == old else s: v for s, v in manifest["splits"].items()}


def records(manifest: Any) -> None:
    manifest["source"] |= {"kind": "tfrecords", "name": "x", "records": 3}


@pytest.mark.parametrize("case", CASES)
def test_a_manifest_of_a_list_that_cannot_be(listed: Path, case: str) -> None:
    path = listed / "mine" / "manifest.json"
    manifest = json.loads(path.read_text())
    change, said = CASES[case]
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(AvmitError) as raised:
        read_manifest(listed / "mine")
    assert said in str(raised.value)
    assert ("manifest", "mine") in [(check, where) for check, where, _ in failures(listed)]


def test_columns_that_no_list_has(listed: Path) -> None:
    def nested(table: pa.Table) -> pa.Table:
        lists = pa.array([[1]] * len(table), pa.list_(pa.int64()))
        return table.set_column(table.schema.get_field_index("n"), "n", lists)

    tamper(listed, "mine", TRAIN, nested)
    assert "schema" in [check for check, _, _ in failures(listed)]
