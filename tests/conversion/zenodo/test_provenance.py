"""What `avmit download` noted of the record reaches manifests and card."""

import json
import shutil
from pathlib import Path

import pytest

from avmit import AvmitError
from conversion.convert.build import Options, convert

RECORD = {
    "id": "8253350",
    "doi": "10.5281/zenodo.8253350",
    "title": "Audiovisual Moments in Time",
    "version": "1.0",
    "licence": "cc-by-4.0",
    "publication_date": "2023-08-16",
    "url": "https://zenodo.org/records/8253350",
    "files": [
        {"name": "video_ratings.csv", "size": 1, "md5": "0" * 32, "kind": "annotations"},
        {"name": "wide.zip", "size": 1, "md5": "f" * 32, "kind": "yamnet_effnet"},
    ],
}


@pytest.fixture
def downloaded(release: Path, tmp_path: Path) -> Path:
    source = tmp_path / "sources"
    source.mkdir()
    for file in release.glob("*.csv"):
        shutil.copy(file, source)
    shutil.make_archive(str(source / "wide"), "zip", release, "YamNet_EffNetB0")
    (source / "record.json").write_text(json.dumps(RECORD))
    return source


def test_the_record_is_in_manifests_and_card(downloaded: Path, tmp_path: Path) -> None:
    convert(downloaded, tmp_path / "avmit", Options(workers=1))
    described = {key: RECORD[key] for key in ("doi", "title", "version", "licence", "url")}
    sources = {
        config: json.loads((tmp_path / "avmit" / config / "manifest.json").read_text())["source"]
        for config in ("ratings", "test_set", "yamnet_effnet")
    }
    assert [source["record"] for source in sources.values()] == [described] * 3
    assert sources["ratings"]["md5"] == "0" * 32
    assert "md5" not in sources["test_set"]
    assert sources["yamnet_effnet"]["archive"] == "wide.zip"
    assert sources["yamnet_effnet"]["md5"] == "f" * 32

    card = (tmp_path / "avmit" / "README.md").read_text()
    where = "from https://zenodo.org/records/8253350, version 1.0 (DOI 10.5281/zenodo.8253350)."
    assert where in card
    assert "Zenodo record states: `cc-by-4.0`." in card
    assert f"MD5 `{'f' * 32}`" in card


def test_without_a_record_the_card_says_nothing_of_it(downloaded: Path, tmp_path: Path) -> None:
    (downloaded / "record.json").unlink()
    convert(downloaded, tmp_path / "avmit", Options(workers=1))
    card = (tmp_path / "avmit" / "README.md").read_text()
    assert "DOI" not in card
    assert "Zenodo record states. The" in card


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": [{}]}', '{"files": 3}'])
def test_a_record_that_is_none_is_one_line(downloaded: Path, tmp_path: Path, text: str) -> None:
    path = downloaded / "record.json"
    path.write_text(text)
    with pytest.raises(AvmitError) as caught:
        convert(downloaded, tmp_path / "avmit", Options(workers=1))
    assert str(caught.value).startswith(f"{path} is not what `avmit download` wrote (")
    assert str(caught.value).endswith("): download again, or delete it")
    assert not (tmp_path / "avmit").exists()
