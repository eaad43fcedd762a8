"""`avmit index`: packages that are there get their indexes, and their shards stay as they are."""

import json
import os
from pathlib import Path

import pytest
from support.commands import Run
from support.damage import EMBEDDINGS, TEST, failures, finding, flip, put, read
from support.indexes import stream_of
from support.releases import sharded_options

from conversion.convert.build import Options, convert
from conversion.package.workspace import workspace
from conversion.package.writer import Encoding


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def without(package: Path) -> None:
    """Let a package be as those before there were indexes."""
    for path in package.glob("*/index.json"):
        path.unlink()


def test_an_older_package_gets_them(copied: Path, sharded_package: Path, run: Run) -> None:
    without(copied)
    none = f"none: `avmit index {copied}` makes one"
    assert (failures(copied), finding(copied, "index", EMBEDDINGS)) == ([], none)
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*.arrow")}
    ran = run("index", copied)
    assert (ran.code, ran.err) == (0, "")
    lines = [
        f"{config}: index.json written ({count}, {size / 1000:.3g} kB)"
        for config, count, size in (
            (name, count, (copied / name / "index.json").stat().st_size)
            for name, count in (
                ("ratings", "1 record batch"),
                ("raw_ratings", "1 record batch"),
                ("test_set", "1 record batch"),
                (EMBEDDINGS, "3 record batches"),
            )
        )
    ]
    assert ran.out.splitlines() == lines
    assert contents(copied) == contents(sharded_package)
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*.arrow")} == before
    assert failures(copied) == []
    ran = run("index", copied)
    assert ran.out.splitlines() == [line.replace("written", "is up to date") for line in lines]


def test_one_config_of_several(copied: Path, run: Run) -> None:
    without(copied)
    ran = run("index", copied, "--config", "ratings")
    assert (ran.code, ran.out.count("\n")) == (0, 1)
    assert [path.parent.name for path in copied.glob("*/index.json")] == ["ratings"]
    ran = run("index", copied, "--config", "mine")
    there = f"ratings, raw_ratings, test_set, {EMBEDDINGS}"
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"avmit: no config 'mine' in {copied}; there are: {there}\n"


def test_shards_that_are_not_the_manifests(copied: Path, run: Run) -> None:
    without(copied)
    path = copied / EMBEDDINGS / TEST
    flip(path, path.stat().st_size // 2, 1)
    ran = run("index", copied)
    assert ran.err == (
        f"avmit: {path} is not what its manifest says (another size or SHA-256): "
        "make or fetch the config again\n"
    )
    assert not (path.parent / "index.json").exists()
    path.unlink()
    assert run("index", copied).err == ran.err


def test_shards_that_can_have_none(
    copied: Path, sharded_release: Path, tmp_path: Path, run: Run
) -> None:
    table = read(copied, EMBEDDINGS, TEST)
    words = table.set_column(0, "filename", table["filename"].dictionary_encode())
    put(copied, EMBEDDINGS, TEST, stream_of(words.combine_chunks().to_batches()))
    (copied / EMBEDDINGS / "index.json").write_text("{}")
    ran = run("index", copied, "--config", EMBEDDINGS)
    why = f"{TEST}: column filename is dictionary<values=string, indices=int32, ordered=0>"
    assert ran.out == f"{EMBEDDINGS}: no index ({why}); the index.json that was there is deleted\n"
    assert not (copied / EMBEDDINGS / "index.json").exists()
    assert run("index", copied, "--config", EMBEDDINGS).out == f"{EMBEDDINGS}: no index ({why})\n"

    parquet = tmp_path / "parquet" / "avmit"
    convert(sharded_release, parquet, Options(workers=1, encoding=Encoding("parquet")))
    assert list(parquet.glob("*/index.json")) == []
    why = "Parquet files have an index of their own, the footer"
    ran = run("index", parquet, "--config", EMBEDDINGS)
    assert ran.out == f"{EMBEDDINGS}: no index ({why})\n"
    assert finding(parquet, "index", EMBEDDINGS) == f"none: {why}"
    index = parquet / EMBEDDINGS / "index.json"
    index.write_bytes((copied / "ratings" / "index.json").read_bytes())
    again = f"make it again with `avmit index {parquet}`"
    assert failures(parquet) == [("index", f"{EMBEDDINGS}/index.json", f"{why}: {again}")]
    ran = run("index", parquet, "--config", EMBEDDINGS)
    assert ran.out == f"{EMBEDDINGS}: no index ({why}); the index.json that was there is deleted\n"


def test_a_package_of_other_hands(copied: Path, run: Run) -> None:
    """An Arrow stream of other options than ours is indexed too."""
    table = read(copied, EMBEDDINGS, TEST)
    batches = table.to_batches(max_chunksize=5)
    put(copied, EMBEDDINGS, TEST, stream_of(batches, "zstd"))
    assert run("index", copied).code == 0
    content = json.loads((copied / EMBEDDINGS / "index.json").read_text())
    assert [batch["rows"] for batch in content["shards"][2]["batches"]] == [5, 5, 5, 1]
    assert failures(copied) == []


def test_where_nothing_can_be_done(copied: Path, tmp_path: Path, run: Run) -> None:
    ran = run("index", tmp_path / "none")
    assert (ran.code, ran.err.startswith(f"avmit: no folder {tmp_path / 'none'}: ")) == (1, True)
    with workspace(copied):
        ran = run("index", copied)
    assert ran.err == f"avmit: another run is writing to {copied}: wait for it, or stop it\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_package_that_may_not_be_written(copied: Path, run: Run) -> None:
    without(copied)
    copied.chmod(0o555)
    ran = run("index", copied)
    copied.chmod(0o755)
    assert ran.err == (
        f"avmit: cannot write to {copied} (Permission denied): make it writable, or copy the "
        "package\n"
    )


def test_convert_brings_them_to_a_package_that_lacks_them(
    sharded_release: Path, sharded_package: Path, copied: Path
) -> None:
    without(copied)
    before = {path: path.stat().st_ino for path in copied.rglob("*.arrow")}
    built = convert(sharded_release, copied, sharded_options())
    assert all(one.changed for one in built)
    assert contents(copied) == contents(sharded_package)
    assert {path: path.stat().st_ino for path in copied.rglob("*.arrow")} == before
    assert not any(one.changed for one in convert(sharded_release, copied, sharded_options()))
