"""Damage to a shard's bytes, found whatever it is."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.damage import (
    EMBEDDINGS,
    NOT_READ,
    OF_SHARD,
    TEST,
    TRAIN,
    entry,
    failures,
    flip,
    put,
    tamper,
)

import avmit
from conversion.verify.verification import verify


def assert_found(package: Path, path: Path, size: str = "") -> None:
    """Check that a shard, and no other, is said to be wrong, and that it was not parsed."""
    found = failures(package)
    where = path.relative_to(package).as_posix()
    of_shard = {name: text for name, place, text in found if place == where}
    config = path.parent.name
    names = OF_SHARD if config == EMBEDDINGS else OF_SHARD[:3]
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    noted = entry(json.loads((path.parent / "manifest.json").read_text()), path.name)["sha256"]
    assert of_shard == {
        "sha256": f"{now}, in the manifest {noted}",
        **dict.fromkeys(names, NOT_READ),
        **({"size": size} if size else {}),
    }
    others = {(name, place) for name, place, _ in found if place != where}
    assert others <= {("rows", config), ("rows", EMBEDDINGS), ("card features", "README.md")}


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("config", [*avmit.RATINGS_CONFIGS, EMBEDDINGS])
def test_a_flipped_bit_is_found_in_every_shard(copied: Path, config: str, place: str) -> None:
    for path in sorted((copied / config).glob("*.arrow")):
        size = path.stat().st_size
        offset = {"first": 0, "middle": size // 2, "last": size - 1}[place]
        flip(path, offset, 7)
        assert_found(copied, path)
        flip(path, offset, 7)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from([*TRAIN, TEST]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_bit_flipped_anywhere_is_found(copied: Path, file: str, place: float, bit: int) -> None:
    path = copied / EMBEDDINGS / file
    offset = int(place * path.stat().st_size)
    flip(path, offset, bit)
    try:
        assert_found(copied, path)
    finally:
        flip(path, offset, bit)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_shard_cut_or_grown(copied: Path, change: int) -> None:
    path = copied / EMBEDDINGS / TRAIN[1]
    data = path.read_bytes()
    path.write_bytes(data[:-1] if change < 0 else data + b"\0")
    assert_found(copied, path, f"{len(data) + change:,} bytes, in the manifest {len(data):,}")


def test_a_missing_shard(copied: Path) -> None:
    (copied / EMBEDDINGS / TRAIN[1]).unlink()
    absent = "not read: there is no such file"
    where = f"{EMBEDDINGS}/{TRAIN[1]}"
    found = failures(copied)
    assert ("presence", where, "missing") in found
    for name in ("size", "sha256", *OF_SHARD):
        assert (name, where, absent) in found
    splits = f"split train of {EMBEDDINGS} does not lead to its shards"
    assert ("card splits", "README.md", splits) in found
    assert ("rows", EMBEDDINGS, "not checked: manifest or shards are not sound") in found


def test_a_shard_that_is_no_arrow_though_its_sum_is_right(copied: Path) -> None:
    put(copied, EMBEDDINGS, TEST, b"\xff\xff\xff\xff\x10\0\0\0" + bytes(range(64)))
    where = f"{EMBEDDINGS}/{TEST}"
    found = {name: text for name, place, text in failures(copied) if place == where}
    assert sorted(found) == sorted(OF_SHARD)
    for text in found.values():
        assert text.startswith(f"{copied / EMBEDDINGS / TEST} cannot be read as an Arrow stream (")
        assert "\n" not in text


@pytest.mark.parametrize("name", [b"\xffew_filename", b"\xc3\x28w_filename"])
def test_a_column_name_that_is_not_unicode(copied: Path, name: bytes) -> None:
    data = (copied / "test_set" / TEST).read_bytes()
    damaged = data.replace(b"new_filename\0", name + b"\0")
    assert damaged != data
    put(copied, "test_set", TEST, damaged)
    where = f"test_set/{TEST}"
    found = {text for check, place, text in failures(copied) if place == where}
    assert len(found) == 1
    assert found.pop().startswith(
        f"{copied / where} cannot be read as an Arrow stream ('utf-8' codec"
    )


def test_two_columns_of_one_name(copied: Path) -> None:
    tamper(
        copied,
        "test_set",
        TEST,
        lambda t: t.rename_columns(["filename", *t.schema.names[:-1]]),
    )
    where = f"test_set/{TEST}"
    text = f"{copied / where} has two columns of one name: bring the shard again"
    assert {found for _, place, found in failures(copied) if place == where} == {text}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_damage_under_a_right_sum_is_never_a_traceback(
    copied: Path, place: float, byte: int
) -> None:
    path = copied / "test_set" / TEST
    before, manifest = path.read_bytes(), (copied / "test_set/manifest.json").read_bytes()
    data = bytearray(before)
    data[int(place * len(data))] = byte
    put(copied, "test_set", TEST, bytes(data))
    try:
        verify(copied, workers=1)
    finally:
        path.write_bytes(before)
        (copied / "test_set/manifest.json").write_bytes(manifest)
