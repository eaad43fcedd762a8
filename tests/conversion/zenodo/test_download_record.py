"""The record as Zenodo tells it, and as record.json keeps it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.downloading import BODY, FILES, LAYOUT, MD5, VGG, YAMNET, fetch
from support.zenodo import RECORD, ZenodoServer

from avmit import AvmitError
from conversion.zenodo.record import RemoteFile, ZenodoRecord, kind_of, read_record


def test_record_json_says_what_is_here_and_where_from(zenodo: ZenodoServer, sources: Path) -> None:
    fetch(zenodo, sources, only=())
    kinds = ["annotations"] * 3 + ["vggish_vgg16", "yamnet_effnet", None]
    assert json.loads((sources / "record.json").read_text("utf-8")) == {
        "id": "8253350",
        "doi": "10.5281/zenodo.8253350",
        "title": "Audiovisual Moments in Time",
        "version": "1.0.0",
        "licence": "cc-by-4.0",
        "publication_date": "2023-08-16",
        "url": "https://zenodo.org/records/8253350",
        "files": [
            {
                "name": name,
                "size": len(content),
                "md5": hashlib.md5(content).hexdigest(),
                "kind": kind,
            }
            for (name, content), kind in zip(FILES.items(), kinds, strict=True)
        ],
    }
    before = (sources / "record.json").read_bytes()
    fetch(zenodo, sources, only=())
    assert (sources / "record.json").read_bytes() == before


def test_record_json_keeps_what_earlier_runs_brought_while_it_is_here(
    zenodo: ZenodoServer, sources: Path
) -> None:
    def listed() -> list[str]:
        content = json.loads((sources / "record.json").read_text("utf-8"))
        return [entry["name"] for entry in content["files"]]

    fetch(zenodo, sources, only=["yamnet_effnet"])
    fetch(zenodo, sources, only=["vggish_vgg16"])
    assert listed() == [VGG, YAMNET]
    (sources / YAMNET).write_bytes(b"cut short")
    fetch(zenodo, sources, only=["vggish_vgg16"])
    assert listed() == [VGG]
    (sources / YAMNET).unlink()
    fetch(zenodo, sources, only=["yamnet_effnet"])
    assert listed() == [VGG, YAMNET]
    (sources / YAMNET).unlink()
    fetch(zenodo, sources, only=["vggish_vgg16"])
    assert listed() == [VGG]


def test_version_and_licence_may_be_absent(zenodo: ZenodoServer, sources: Path) -> None:
    answer = zenodo.record()
    del answer["metadata"]["version"], answer["metadata"]["license"]
    zenodo.answer = answer
    fetch(zenodo, sources)
    content = json.loads((sources / "record.json").read_text("utf-8"))
    assert content["version"] is None
    assert content["licence"] is None


def test_reads_the_record(zenodo: ZenodoServer) -> None:
    zenodo.files = {VGG: BODY}
    record = read_record(base=f"{zenodo.url}/")
    assert record == ZenodoRecord(
        base=zenodo.url,
        id=RECORD,
        doi="10.5281/zenodo.8253350",
        title="Audiovisual Moments in Time",
        publication_date="2023-08-16",
        version="1.0.0",
        licence="cc-by-4.0",
        files=(RemoteFile(VGG, len(BODY), MD5),),
    )


def test_an_md5_in_capitals_is_the_same(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.answer = zenodo.record()
    zenodo.answer["files"][3]["checksum"] = f"md5:{MD5.upper()}"
    fetch(zenodo, sources)
    assert [r.fetched for r in fetch(zenodo, sources)] == [False]


def test_a_concept_s_number_leads_to_the_version_that_answers(zenodo: ZenodoServer) -> None:
    zenodo.answer = zenodo.record() | {"id": 999}
    record = read_record(base=zenodo.url)
    assert record.page == "https://zenodo.org/records/999"
    assert record.content_url(record.files[3]) == (
        f"{zenodo.url}/api/records/999/files/{VGG}/content"
    )


def without(key: str, place: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        del place(record)[key]

    return change


def set_to(value: object, key: Any, place: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        place(record)[key] = value

    return change


def whole(record: Any) -> Any:
    return record


def metadata(record: Any) -> Any:
    return record["metadata"]


def second_file(record: Any) -> Any:
    return record["files"][1]


FILE_KEYS = "['checksum', 'id', 'key', 'links', 'size']"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            without("files", whole),
            "the answer has no 'files', only "
            "['conceptrecid', 'created', 'doi', 'id', 'links', 'metadata']",
        ),
        (set_to({"a": 1}, "files", whole), "the answer.files is {'a': 1}, not a list"),
        (set_to(["x"], "files", whole), "the answer.files[0] is 'x', not an object"),
        (set_to("8a", "id", whole), "the answer.id is '8a', not a record's number"),
        (set_to(7, "doi", whole), "the answer.doi is 7, not text"),
        (set_to([], "metadata", whole), "the answer.metadata is [], not an object"),
        (
            without("title", metadata),
            "the answer.metadata has no 'title', only ['license', 'publication_date', 'version']",
        ),
        (
            set_to(None, "publication_date", metadata),
            "the answer.metadata has no 'publication_date', only "
            "['license', 'publication_date', 'title', 'version']",
        ),
        (set_to(1.5, "version", metadata), "the answer.metadata.version is 1.5, not text"),
        (
            set_to("cc-by", "license", metadata),
            "the answer.metadata.license is 'cc-by', not an object",
        ),
        (
            without("checksum", second_file),
            "the answer.files[1] has no 'checksum', only ['id', 'key', 'links', 'size']",
        ),
        (
            set_to("sha256:00ff", "checksum", second_file),
            "the answer.files[1].checksum is 'sha256:00ff', not an md5",
        ),
        (
            set_to("md5:00ff", "checksum", second_file),
            "the answer.files[1].checksum is 'md5:00ff', not an md5",
        ),
        (set_to("12", "size", second_file), "the answer.files[1].size is '12', not a whole number"),
        (set_to(-1, "size", second_file), "the answer.files[1].size is -1, not a whole number"),
        (set_to(True, "size", second_file), "the answer.files[1].size is True, not a whole number"),
        *(
            (
                set_to(name, "key", second_file),
                f"the answer.files[1].key is {name!r}, not a plain file name",
            )
            for name in ("../up.csv", "a/b.csv", "a\\b.csv", "..", "", ".x.part", "a\nb.csv")
        ),
        (
            set_to("test_set.csv", "key", second_file),
            "the answer.files has 'test_set.csv' more than once",
        ),
    ],
)
def test_an_unknown_layout_is_one_line_that_shows_it(
    zenodo: ZenodoServer, change: Callable[[Any], None], what: str
) -> None:
    zenodo.answer = zenodo.record()
    change(zenodo.answer)
    with pytest.raises(AvmitError) as stopped:
        read_record(base=zenodo.url)
    assert str(stopped.value) == f"{zenodo.url}/api/records/{RECORD}: {what}: {LAYOUT}"


def test_an_answer_that_is_no_object_is_one_line(zenodo: ZenodoServer) -> None:
    zenodo.answer = [1]
    with pytest.raises(AvmitError) as stopped:
        read_record(base=zenodo.url)
    assert str(stopped.value) == (
        f"{zenodo.url}/api/records/{RECORD}: the answer is [1], not an object: {LAYOUT}"
    )


def test_an_answer_that_is_not_json_is_one_line(zenodo: ZenodoServer) -> None:
    zenodo.answer = b"<html>\nLog in to the network" + b"." * 100
    with pytest.raises(AvmitError) as stopped:
        read_record(base=zenodo.url)
    shown = "<html>\\nLog in to the network" + "." * 52
    assert str(stopped.value) == (
        f"{zenodo.url}/api/records/{RECORD} answers '{shown}', which is not JSON: check --base-url"
    )


def test_a_record_without_files_is_one_line(zenodo: ZenodoServer) -> None:
    zenodo.files = {}
    with pytest.raises(AvmitError) as stopped:
        read_record(base=zenodo.url)
    assert str(stopped.value) == (
        f"{zenodo.url}/api/records/{RECORD} has no files that are open to all: check --record"
    )


def test_a_file_with_the_name_of_ours_is_refused(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.files["Record.json"] = b"{}"
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources, only=())
    assert str(stopped.value) == (
        f"record {RECORD} has a file Record.json, and avmit writes its own of that name: "
        "leave it out with --only"
    )
    assert not sources.exists()


@pytest.mark.parametrize("record", ["", "10.5281/zenodo.8253350", "../users", "８"])
def test_what_is_not_a_record_s_number_is_one_line(zenodo: ZenodoServer, record: str) -> None:
    with pytest.raises(AvmitError) as stopped:
        read_record(record, zenodo.url)
    assert str(stopped.value) == (
        f"'{record}' is not the number of a Zenodo record: give one such as 8253350"
    )
    assert zenodo.requests == []


@pytest.mark.parametrize("base", ["zenodo.org", "ftp://zenodo.org", "http://", "http://h:99999"])
def test_what_is_not_a_web_address_is_one_line(base: str) -> None:
    with pytest.raises(AvmitError) as stopped:
        read_record(base=base)
    assert str(stopped.value) == (
        f"--base-url '{base}' is not a web address: give one such as https://zenodo.org"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("video_ratings.csv", "annotations"),
        ("TEST_SET.CSV", "annotations"),
        ("VGGish_VGG16.zip", "vggish_vgg16"),
        ("vgg16-vggish.TAR", "vggish_vgg16"),
        ("YamNet_EffNetB0.tar.gz", "yamnet_effnet"),
        ("yamnet-efficientnet.tgz", "yamnet_effnet"),
        ("Efficient-Net.zip", "yamnet_effnet"),
        ("VGGish_EffNet.zip", None),
        ("README.txt", None),
        ("yamnet_readme.txt", None),
        ("embeddings.zip", None),
        ("VGGish", None),
    ],
)
def test_kind_by_name(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_an_unknown_kind_is_one_line(zenodo: ZenodoServer, sources: Path) -> None:
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources, only=["annotations", "vggish"])
    assert str(stopped.value) == (
        "--only vggish: there is no such kind; give annotations, vggish_vgg16, yamnet_effnet"
    )
    assert not sources.exists()


def test_a_kind_that_the_record_has_not_is_one_line(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.files = {"data.zip": b"", "notes.txt": b""}
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources, only=["vggish_vgg16"])
    assert str(stopped.value) == (
        f"--only vggish_vgg16: no file of record {RECORD} has a name of that kind "
        "(data.zip, notes.txt): leave out --only"
    )
