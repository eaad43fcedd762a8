"""Damaged and hostile shards are an error of one line in `avmit.load`, and never a crash."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.hostile import load_apart, with_metadata, with_names, with_offset, with_text, written
from support.hub.server import HubServer
from support.releases import shards

CONFIG = "vggish_vgg16"
NAMES = ["filename", "label", "MIT_label", "r1", "r2", "r3", "video_location", "tfrecord_filename"]
WAYS: dict[str, dict[str, Any]] = {
    "mapped": {},
    "mapped columns": {"columns": ["audio", "filename"]},
    "streamed": {"streaming": True},
    "streamed columns": {"streaming": True, "columns": ["audio", "filename"]},
}


def in_parquet(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(shard: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.ipc.open_stream(shard).read_all(), sink)
        return change(sink.getvalue().to_pybytes())

    return changed


def with_end(value: int) -> Callable[[bytes], bytes]:
    """Return what lets the first row of audio end there."""
    return lambda shard: with_offset(shard, "audio", value)


def with_a_vast_buffer(shard: bytes) -> bytes:
    """Compress a shard and let a buffer say that it is of 2**61 bytes."""
    data = written(pa.ipc.open_stream(shard).read_all(), "zstd")
    place = data.index(b"\x28\xb5\x2f\xfd") - 8  # what zstd begins with, after the length
    return data[:place] + (2**61).to_bytes(8, "little") + data[place + 8 :]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    **{
        f"audio {value}": (with_end(value), "cannot be read as an Arrow stream (")
        for value in (2**31 - 1, -(2**31), 10**6, -1)
    },
    "filename 2**30": (
        lambda shard: with_offset(shard, "filename", 2**30),
        "cannot be read as an Arrow stream (",
    ),
    "text": (
        lambda shard: with_text(shard, "filename", b"\xff\xfe"),
        "cannot be read as an Arrow stream (",
    ),
    "empty": (lambda shard: b"", "cannot be read as an Arrow stream ("),
    "half": (lambda shard: shard[: len(shard) // 2], "cannot be read as an Arrow stream ("),
    "head": (lambda shard: shard[:100], "cannot be read as an Arrow stream ("),
    "page": (
        lambda shard: b"<html>Log in\x1b[2J</html>" * 90,
        "cannot be read as an Arrow stream (",
    ),
    "audio twice": (
        lambda shard: with_names(shard, [*NAMES, "audio", "audio"]),
        "has two columns of one name",
    ),
    "deep": (
        lambda shard: with_metadata(shard, b"[" * 100_000),
        "cannot be read as an Arrow stream (maximum recursion depth exceeded",
    ),
    "no features": (
        lambda shard: with_metadata(shard, b'{"info": {"features": {"audio": 5}}}'),
        "cannot be read as an Arrow stream (",
    ),
    "a list": (lambda shard: with_metadata(shard, b"5"), "cannot be read as an Arrow stream ("),
    "vast": (with_a_vast_buffer, "cannot be read as an Arrow stream ("),
    "parquet empty": (in_parquet(lambda shard: b""), "cannot be read as Parquet ("),
    "parquet half": (in_parquet(lambda shard: shard[1000:]), "cannot be read as Parquet ("),
}


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (Path.mkdir, "is not a file: bring the shard again"),
    "pipe": (os.mkfifo, "is not a file: bring the shard again"),
    "link": (
        lambda path: path.symlink_to("nowhere"),
        "is gone since it was listed: load it again",
    ),
}


@pytest.fixture(scope="module")
def told(
    sharded_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, str]]:
    """The shard that is wrong and what loading it said, by what is wrong and way."""
    folder = tmp_path_factory.mktemp("hostile")
    wrong = {}
    for damage, (change, _) in DAMAGE.items():
        (folder / damage / CONFIG).mkdir(parents=True)
        (shard,) = shards(sharded_package, CONFIG, "test")
        suffix = ".parquet" if damage.startswith("parquet") else ".arrow"
        wrong[damage] = (folder / damage / CONFIG / shard.name).with_suffix(suffix)
        wrong[damage].write_bytes(change(shard.read_bytes()))
    for kind, (make, _) in KINDS.items():
        shutil.copytree(sharded_package, folder / kind)
        wrong[kind] = shards(folder / kind, CONFIG, "train")[1]
        wrong[kind].unlink()
        make(wrong[kind])
    shutil.copytree(sharded_package, folder / "columns")
    wrong["columns"] = shards(folder / "columns", CONFIG, "train")[1]
    data = wrong["columns"].read_bytes()
    wrong["columns"].write_bytes(with_names(data, [*NAMES, "sound", "visual"]))
    cases = {
        f"{what}: {way}": {
            "config": CONFIG,
            "split": shard.name.partition("-")[0],
            "data_dir": str(folder / what),
            **options,
        }
        for what, shard in wrong.items()
        for way, options in WAYS.items()
    }
    said = load_apart(cases, {"HF_DATASETS_CACHE": str(folder / "cache")})
    return {name: (wrong[name.partition(":")[0]], said[name]) for name in cases}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_hostile_shard_is_one_line(
    told: dict[str, tuple[Path, str]], damage: str, way: str
) -> None:
    shard, said = told[f"{damage}: {way}"]
    assert said.startswith(f"AvmitError: {shard} {DAMAGE[damage][1]}")
    assert said.endswith(": bring the shard again")
    assert said.isprintable()


def test_a_column_that_is_not_asked_for_is_not_looked_at(
    sharded_package: Path, tmp_path: Path
) -> None:
    """What is read is checked; what is not read cannot do harm."""
    shutil.copytree(sharded_package, tmp_path / "avmit")
    (shard,) = shards(tmp_path / "avmit", CONFIG, "test")
    shard.write_bytes(with_offset(shard.read_bytes(), "audio", 10**6))
    cases = {
        str(streaming): {
            "config": CONFIG,
            "split": "test",
            "data_dir": str(tmp_path / "avmit"),
            "streaming": streaming,
            "columns": ["filename", "visual"],
        }
        for streaming in (False, True)
    }
    told = load_apart(cases, {"HF_DATASETS_CACHE": str(tmp_path / "cache")})
    assert told == {"False": "16 rows", "True": "16 rows"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_file_is_no_shard(
    told: dict[str, tuple[Path, str]], kind: str, way: str
) -> None:
    shard, said = told[f"{kind}: {way}"]
    assert said == f"AvmitError: {shard} {KINDS[kind][1]}"


@pytest.mark.parametrize("way", WAYS)
def test_a_shard_of_other_columns_than_the_first(
    told: dict[str, tuple[Path, str]], way: str
) -> None:
    shard, said = told[f"columns: {way}"]
    assert said.startswith(f"AvmitError: {shard} ")
    assert said.endswith(": bring the shard again")
    assert "\n" not in said


def test_hostile_shards_on_the_hub(sharded_package: Path, tmp_path: Path) -> None:
    damages = ["audio 1000000", "filename 2**30", "half", "empty", "audio twice"]
    (name,) = [shard.name for shard in shards(sharded_package, CONFIG, "test")]
    with HubServer() as server:
        cases = {}
        for damage in damages:
            repo_id = f"ann/{damages.index(damage)}"
            shutil.copytree(sharded_package, tmp_path / repo_id)
            shard = tmp_path / repo_id / CONFIG / name
            shard.write_bytes(DAMAGE[damage][0](shard.read_bytes()))
            server.put_folder(repo_id, tmp_path / repo_id)
            for way, options in WAYS.items():
                case = {"config": CONFIG, "split": "test", "data_dir": repo_id, **options}
                cases[f"{damage}: {way}"] = case
        environment = {
            "HF_ENDPOINT": server.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "home"),
            "HF_DATASETS_CACHE": str(tmp_path / "cache"),
        }
        told = load_apart(cases, environment)
    for damage_and_way, said in told.items():
        damage = damage_and_way.partition(":")[0]
        assert said.startswith(f"AvmitError: hf://datasets/ann/{damages.index(damage)}"), said
        assert f"/{CONFIG}/{name} {DAMAGE[damage][1]}" in said
        assert said.endswith(": ask the owner of the repository to push it again")
        assert "\n" not in said
