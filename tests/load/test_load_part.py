"""`avmit.load` says when labels are numbered by a part of the release."""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

import avmit

TOLD = (
    "label numbers in {} follow the CSVs that it was made of: 16 names, "
    "from 48 of 57,177 rated videos"
)


def warned(*arguments: Any, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        avmit.load(*arguments, **options)
    return [str(w.message) for w in caught if w.category is UserWarning]


@pytest.fixture
def part(package: Path, tmp_path: Path) -> Path:
    """A copy of `package`, to be changed."""
    return Path(shutil.copytree(package, tmp_path / "part"))


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
@pytest.mark.parametrize("split", [None, "test"])
def test_a_part_of_the_release(
    package: Path, cache: Path, split: str | None, streaming: bool
) -> None:
    told = warned("vggish_vgg16", split, data_dir=package, streaming=streaming)
    assert told == [TOLD.format(package)]


def test_the_warning_names_the_line_that_loads(package: Path) -> None:
    with pytest.warns(UserWarning, match="label numbers in") as caught:
        avmit.load("vggish_vgg16", data_dir=package)
    assert [warning.filename for warning in caught] == [__file__]


def test_nothing_is_said_where_no_label_is_numbered(package: Path) -> None:
    assert warned("ratings", data_dir=package) == []
    assert warned("vggish_vgg16", data_dir=package, columns=["audio"]) == []


def test_nothing_is_said_of_the_full_release(part: Path) -> None:
    path = part / "ratings" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"][0]["rows"] = 57_177
    path.write_text(json.dumps(manifest))
    assert warned("vggish_vgg16", data_dir=part) == []


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "[" * 100_000, '{"splits": []}', '{"splits": {"train": 5}}', "\0"),
        *(f'{{"splits": {{"train": [{{"rows": {rows}}}]}}}}' for rows in ('"9"', "-1", "1e999")),
    ],
)
def test_a_manifest_that_is_none_is_passed_over(part: Path, text: str) -> None:
    (part / "ratings" / "manifest.json").write_text(text)
    assert warned("vggish_vgg16", data_dir=part) == []


def test_no_manifest(part: Path) -> None:
    path = part / "ratings" / "manifest.json"
    path.unlink()
    assert warned("vggish_vgg16", data_dir=part) == []
    os.mkfifo(path)
    assert warned("vggish_vgg16", data_dir=part) == []
    shutil.rmtree(part / "ratings")
    assert warned("vggish_vgg16", data_dir=part) == []
