"""Indexes and shards of any content: a reason in one line, or the record batches that are there."""

import base64
import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import Run
from support.damage import EMBEDDINGS, TEST, TRAIN, edit_manifest, failures
from support.indexes import config_of, edit_index, read_by, stream_of

from avmit import AvmitError
from conversion.package.index.batch import BatchReader
from conversion.package.index.build import NoIndex, build_index
from conversion.package.index.index_file import parse_index, read_index
from conversion.package.manifest import Manifest, read_manifest
from conversion.package.reader import read_batches

FIRST = TRAIN[0]


def shard(**facts: Any) -> Callable[[Any], Any]:
    return lambda content: content["shards"][0].update(facts)


def batch(**facts: Any) -> Callable[[Any], Any]:
    return lambda content: content["shards"][0]["batches"][0].update(facts)


def column(number: int, *values: Any) -> Callable[[Any], Any]:
    def change(content: Any) -> None:
        content["shards"][0]["batches"][0]["columns"][number] = list(values)

    return change


CASES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "five": (lambda c: 5, "5 is no mapping"),
    "a list": (lambda c: [], "[] is no mapping"),
    "no key": (lambda c: c.pop("schema") and None, "schema is missing"),
    "a key more": (lambda c: c.update({"a\nb": 1}), "'a\\nb' is unknown"),
    "later": (
        lambda c: {"version": 2, "all": "else"},
        "it is of version 2, and this avmit reads 1: update avmit",
    ),
    "version": (lambda c: c.update(version="1"), "version is '1'"),
    "version true": (lambda c: c.update(version=True), "version is True"),
    "config": (lambda c: c.update(config="x"), "config is 'x', in the manifest 'vggish_vgg16'"),
    "columns": (lambda c: c.update(columns=["a", 1]), "columns are ['a', 1]"),
    "columns twice": (lambda c: c.update(columns=["a", "a"]), "two columns have one name"),
    "schema": (lambda c: c.update(schema="!"), "schema is '!'"),
    "schema odd": (lambda c: c.update(schema=["é"]), "schema is ['é']"),
    "shards": (lambda c: c.update(shards={}), "it has {}, in the manifest 3"),
    "a shard less": (lambda c: c["shards"].pop() and None, "it has 2 shards, in the manifest 3"),
    "a shard that is none": (
        lambda c: c["shards"].__setitem__(0, 7),
        f"{FIRST}: 7 is no mapping",
    ),
    "file": (shard(file="x"), f"{FIRST}: file is 'x', in the manifest '{FIRST}'"),
    "bytes": (shard(bytes=True), f"{FIRST}: bytes is True, in the manifest "),
    "other shards": (shard(sha256="0" * 64), f"{FIRST}: sha256 is '{'0' * 64}', in the manifest"),
    "schema_length": (shard(schema_length=-8), f"{FIRST}: schema_length is -8"),
    "batches": (shard(batches=None), f"{FIRST}: batches are None"),
    "no batches": (shard(batches=[]), f"{FIRST}: 0 rows, in the manifest 16"),
    "a batch that is none": (shard(batches=[[]]), f"{FIRST}: record batch 0: [] is no mapping"),
    "offset": (
        batch(offset=0),
        f"{FIRST}: record batch 0: offset is 0, and what is before it ends",
    ),
    "metadata_length": (batch(metadata_length=2**62), "metadata_length is 4611686018427387904"),
    "body_length": (batch(body_length=10**12), f"{FIRST}: record batch 0: body_length is 1000000"),
    "body odd": (batch(body_length=1.0), f"{FIRST}: record batch 0: body_length is 1.0"),
    "rows": (batch(rows=-1), f"{FIRST}: record batch 0: rows is -1"),
    "rows wrong": (batch(rows=15), f"{FIRST}: 15 rows, in the manifest 16"),
    "metadata": (batch(metadata="AAAA"), f"{FIRST}: record batch 0: metadata is 'AAAA'"),
    "columns short": (batch(columns=[[0, 8, 0]]), "record batch 0: columns are [[0, 8, 0]]"),
    "a column": (column(0, 0, 8), f"{FIRST}: record batch 0: a column is [0, 8]"),
    "a column out": (column(9, 0, 10**9, 0), "record batch 0: a column is [0, 1000000000, 0]"),
    "a column over": (column(1, 0, 8, 0), f"{FIRST}: record batch 0: a column is [0, 8, 0]"),
    "a column odd": (column(0, 0, True, 0), "record batch 0: a column is [0, True, 0]"),
    "a column's sum": (column(0, 0, 8, 2**32), "a column is [0, 8, 4294967296]"),
    "a column unaligned": (column(9, 10**5 + 1, 8, 0), "a column is [100001, 8, 0]"),
}


def assert_refused(package: Path, run: Run, reason: str) -> None:
    """Check that it is told in one line, by whoever reads it."""
    path = package / EMBEDDINGS / "index.json"
    remedy = f": make it again with `avmit index {package}`"
    with pytest.raises(AvmitError) as raised:
        read_index(path.parent, read_manifest(path.parent))
    assert "\n" not in str(raised.value)
    assert reason in str(raised.value)
    assert str(raised.value).startswith(f"{path} ")
    assert str(raised.value).endswith(remedy)
    ((name, where, found),) = failures(package)
    assert (name, where) == ("index", f"{EMBEDDINGS}/index.json")
    assert reason in found
    assert found.endswith(remedy)
    ran = run("push", package, "ann/avmit", "--dry-run")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith(f"avmit: {package} is not fit to be published ({path} ")
    assert reason in ran.err


@pytest.mark.parametrize("case", list(CASES))
def test_what_an_index_may_not_say(copied: Path, run: Run, case: str) -> None:
    change, reason = CASES[case]
    edit_index(copied / EMBEDDINGS, change)
    assert_refused(copied, run, reason)
    ran = run("index", copied, "--config", EMBEDDINGS)
    assert ran.out.startswith(f"{EMBEDDINGS}: index.json written (3 record batches, ")
    assert failures(copied) == []


@pytest.mark.parametrize("text", [b"", b"\xff", b"{", b"NaN", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json(copied: Path, run: Run, text: bytes) -> None:
    (copied / EMBEDDINGS / "index.json").write_bytes(text)
    assert_refused(copied, run, "")


@pytest.mark.parametrize(
    "make",
    [
        os.mkdir,
        os.mkfifo,
        lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**36),
    ],
)
def test_what_is_no_file_to_read(copied: Path, run: Run, make: Callable[[Path], None]) -> None:
    path = copied / EMBEDDINGS / "index.json"
    path.unlink()
    make(path)
    assert_refused(copied, run, "")


def test_the_index_of_another_config(copied: Path, run: Run) -> None:
    text = (copied / "ratings" / "index.json").read_bytes()
    (copied / EMBEDDINGS / "index.json").write_bytes(text)
    assert_refused(copied, run, "config is 'ratings', in the manifest 'vggish_vgg16'")


def test_what_only_the_shards_can_tell(copied: Path, run: Run) -> None:
    """It is well-formed, and of the manifest's shards: what it says is compared with what is so."""
    folder = copied / EMBEDDINGS
    text = (folder / "index.json").read_text()
    content = json.loads(text)
    first = content["shards"][0]["batches"][0]
    schema = base64.b64decode(content["schema"]).replace(b"MIT_label", b"MIT_lapel")
    lies: list[Callable[[Any], Any]] = [
        column(9, *first["columns"][9][:2], 1),
        column(9, first["columns"][9][0] + 8, first["columns"][9][1] - 8, 1),
        batch(metadata=base64.b64encode(b"\0" * first["metadata_length"]).decode()),
    ]
    place = f"record batch 0 of {FIRST}, at byte {first['offset']:,}, is another"
    for lie in lies:
        edit_index(folder, lie)
        ((_, _, found),) = failures(copied)
        assert found == f"{place}: make it again with `avmit index {copied}`"
        (folder / "index.json").write_text(text)
    edit_index(folder, lambda c: c.update(schema=base64.b64encode(schema).decode()))
    ((_, _, found),) = failures(copied)
    assert found.startswith(f"its schema is not that of {FIRST}: ")


def test_a_reader_believes_no_index(copied: Path) -> None:
    folder = copied / EMBEDDINGS
    text = (folder / "index.json").read_text()
    content = json.loads(text)
    first = content["shards"][0]["batches"][0]
    zeros = base64.b64encode(b"\0" * first["metadata_length"]).decode()
    start, length, crc = first["columns"][9]
    cases: list[tuple[Callable[[Any], Any], str]] = [
        (lambda c: c.update(schema="AAAA"), "its schema makes no sense ("),
        (lambda c: c["columns"].reverse(), "its schema has other columns than it says"),
        (column(9, start, length, crc ^ 1), "the bytes of visual are not those of its CRC32C"),
        (column(0, 0, 0, 0), "the record batch makes no sense (the ranges of its columns are not"),
        (batch(metadata=zeros), "the record batch makes no sense ("),
    ]
    for change, reason in cases:
        edit_index(folder, change)
        index = read_index(folder, read_manifest(folder))
        assert index is not None
        with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
            read_by(index, folder)
        (folder / "index.json").write_text(text)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 8, -8, 2**31, 2**63, 10**30, 1.5, float("nan")]),
    st.sampled_from(["", "AAAA", "x\ny", "\ud800"]),
    st.integers(-64, 10**6),
)
JUNK = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=4), SCALARS)


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    keys = list(value) if isinstance(value, dict) else []
    for key in range(len(value)) if isinstance(value, list) else keys:
        yield from _places(value[key], (*above, key))


def _mutated(content: Any, data: st.DataObject) -> Any:
    content = copy.deepcopy(content)
    places = [place for place in _places(content) if place]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places))
        try:
            parent = content
            for key in place[:-1]:
                parent = parent[key]
            value = parent[place[-1]]
            deed = data.draw(st.sampled_from(["replace", "delete", "twice", "flip"]))
            if deed == "delete":
                del parent[place[-1]]
            elif deed == "twice" and isinstance(parent, list):
                parent.append(value)
            elif deed == "flip" and isinstance(value, str) and len(value) > 8:
                raw = bytearray(base64.b64decode(value, validate=True))
                raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
                parent[place[-1]] = base64.b64encode(raw).decode()
            elif deed == "flip" and type(value) is int:
                parent[place[-1]] = value + data.draw(st.sampled_from([-8, -1, 1, 8, 64]))
            else:
                parent[place[-1]] = data.draw(JUNK)
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # an earlier change has taken the place away, or it is no base64
    return content


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_index(sharded_package: Path, data: st.DataObject) -> None:
    folder = sharded_package / EMBEDDINGS
    manifest = read_manifest(folder)
    content = json.loads((folder / "index.json").read_text())
    text = json.dumps(_mutated(content, data)).encode()
    try:
        index = parse_index(text, manifest)
        found, _ = read_by(index, folder, data.draw(st.sampled_from([None, ["audio", "r1"]])))
    except ValueError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 800
        return
    expected = [
        b for s in manifest.shards for b in read_batches(folder / s.file, found[0].schema.names)
    ]
    assert found == expected


def _shards() -> Iterator[bytes]:
    rows = pa.RecordBatch.from_pydict(
        {
            "name": pa.array(["a", None, "ccc"]),
            "flag": pa.array([True, None, False]),
            "audio": pa.array(
                [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]], []], pa.list_(pa.list_(pa.float32(), 2))
            ),
        }
    )
    for compression in (None, "lz4", "zstd"):
        yield stream_of([rows, rows], compression)


SHARDS = list(_shards())
NUMBERS = st.sampled_from([0, 1, -1, 8, -8, 64, 2**31, 2**40, 2**62, -(2**63)])


@settings(max_examples=250)
@given(data=st.data())
def test_any_shard(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Shards of any bytes are indexed or not, and what is indexed is read or not: nothing worse."""
    text = bytearray(data.draw(st.sampled_from(SHARDS)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 9))
        if data.draw(st.booleans()):
            text[place] ^= 1 << data.draw(st.integers(0, 7))
        else:
            text[place : place + 8] = data.draw(NUMBERS).to_bytes(8, "little", signed=True)
    if data.draw(st.integers(0, 9)) == 0:
        del text[data.draw(st.integers(0, len(text))) :]
    folder = tmp_path_factory.mktemp("any")
    manifest: Manifest = config_of(folder, [bytes(text)], [6])
    try:
        index = build_index(folder, manifest)
    except NoIndex as error:
        assert "\n" not in str(error)
        return
    assert parse_index(index.to_bytes(), manifest) == index
    for columns in (None, ["audio"]):
        try:
            BatchReader(index, columns)
            for found in read_by(index, folder, columns)[0]:
                found.to_pylist()
        except ValueError as error:
            assert "\n" not in str(error)


def test_a_manifest_that_changed_since(copied: Path, run: Run) -> None:
    def shorter(manifest: Any) -> None:
        del manifest["splits"]["test"]

    (copied / EMBEDDINGS / TEST).unlink()
    edit_manifest(copied, EMBEDDINGS, shorter)
    found = [found for name, _, found in failures(copied) if name == "index"]
    assert found == [
        f"it has 3 shards, in the manifest 2: make it again with `avmit index {copied}`"
    ]
    assert run("index", copied).code == 0
    assert [name for name, _, _ in failures(copied) if name == "index"] == []
