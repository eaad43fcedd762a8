"""`avmit.stream(..., keep=)`: what came once is read from the folder, and finished by prefetch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.hub.server import HubServer
from support.keeping import (
    LOOSE,
    assert_same,
    column_bytes,
    index_of,
    kept_files,
    shard_files,
    streamed,
)
from support.prefetching import CONFIG, REPO, SHARDS, contents, stored

import avmit
from conversion.package.manifest import INDEX, read_manifest

RANK = """
import json, sys
import avmit
keep, rank = sys.argv[1], int(sys.argv[2])
stream = avmit.stream(
    "vggish_vgg16", data_dir="ann/avmit", keep=keep, shuffle=True, rank=rank, world_size=2
)
print(json.dumps([row["filename"] for row in stream]))
"""


def test_a_second_epoch_and_a_second_run_fetch_no_data(
    filled: HubServer, batched: Path, keep: Path
) -> None:
    stream = streamed(keep, shuffle=True)
    assert_same(list(stream), batched, shuffle=True)
    assert stored(filled) <= LOOSE * column_bytes(batched, list(stream.columns))
    # Whole shards are compared with the manifest, and have their names.
    assert (shard_files(keep), kept_files(keep)) == (SHARDS[1:], [])
    for name in SHARDS[1:]:
        (path,) = keep.glob(f".avmit-work/*/{name}")
        assert path.read_bytes() == (batched / CONFIG / name).read_bytes()
    filled.reset_counts()
    assert_same(list(stream), batched, shuffle=True, epoch=1)
    assert filled.requests == []
    assert_same(list(streamed(keep)), batched)
    assert stored(filled) == 0
    assert {request.path.split("/")[-1] for request in filled.requests} == {"manifest.json", INDEX}


def test_other_columns_come_beside_those_that_are_there(
    filled: HubServer, batched: Path, keep: Path
) -> None:
    few: Any = {"columns": ["audio", "label"]}
    assert_same(list(streamed(keep, **few)), batched, **few)
    assert shard_files(keep) == []
    filled.reset_counts()
    assert_same(list(streamed(keep, **few)), batched, **few)
    assert stored(filled) == 0
    assert_same(list(streamed(keep)), batched)
    every = list(index_of(batched).columns)
    rest = [name for name in every if name not in few["columns"]]
    assert stored(filled) <= LOOSE * column_bytes(batched, rest)
    assert shard_files(keep) == SHARDS[1:]


@pytest.mark.parametrize("columns", [["visual", "label"], None])
def test_prefetch_brings_the_rest(
    filled: HubServer, batched: Path, keep: Path, run: Run, columns: list[str] | None
) -> None:
    rows = iter(streamed(keep, shuffle=True, columns=columns, ahead=1))
    for _ in range(20):
        next(rows)
    rows.close()
    came = stored(filled)
    filled.reset_counts()
    ran = run("prefetch", REPO, "--out", keep, "--config", CONFIG)
    assert (ran.code, ran.err) == (0, "")
    size = sum(shard.bytes for shard in read_manifest(batched / CONFIG).shards)
    assert came > 0.1 * size
    assert stored(filled) <= size - 0.95 * came
    assert contents(keep / CONFIG) == contents(batched / CONFIG)
    assert not (keep / ".avmit-work").exists()
    assert "all holds" in run("verify", keep).out
    filled.reset_counts()
    assert_same(list(streamed(keep)), batched)
    assert stored(filled) == 0
    assert not (keep / ".avmit-work").exists()


def test_prefetch_takes_whole_shards_as_they_are(
    filled: HubServer, batched: Path, keep: Path, run: Run
) -> None:
    list(streamed(keep))
    list(streamed(keep, "test"))
    filled.reset_counts()
    ran = run("prefetch", REPO, "--out", keep, "--config", CONFIG)
    assert ran.code == 0
    assert stored(filled) == 0
    assert contents(keep / CONFIG) == contents(batched / CONFIG)


def test_two_ranks_share_a_folder(filled: HubServer, batched: Path, keep: Path) -> None:
    command = [sys.executable, "-c", RANK, str(keep)]
    ranks = [
        subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    names = []
    for running in ranks:
        out, _ = running.communicate(timeout=120)
        assert running.returncode == 0
        names += json.loads(out)
    assert len(set(names)) == len(names) == 32
    assert stored(filled) <= LOOSE * column_bytes(batched, list(index_of(batched).columns))
    filled.reset_counts()
    assert_same(list(streamed(keep)), batched)
    assert stored(filled) == 0
    assert shard_files(keep) == SHARDS[1:]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_share_a_folder(filled: HubServer, batched: Path, keep: Path, context: str) -> None:
    pytest.importorskip("torch")
    made = streamed(keep, shuffle=True)
    workers: Any = {
        "num_workers": 2,
        "multiprocessing_context": context,
        "persistent_workers": True,
    }
    loader = avmit.torch_loader(made, 4, columns=["filename"], **workers)
    assert len({name for batch in loader for name in batch["filename"]}) == 32
    filled.reset_counts()
    assert len({name for batch in loader for name in batch["filename"]}) == 32
    assert stored(filled) == 0


def test_foreign_files_stay(filled: HubServer, keep: Path) -> None:
    foreign = {"notes.txt": b"mine", f"{CONFIG}/{SHARDS[1]}": b"mine too"}
    for name, content in foreign.items():
        (keep / name).parent.mkdir(parents=True, exist_ok=True)
        (keep / name).write_bytes(content)
    assert len(list(streamed(keep))) == 32
    assert contents(keep) == foreign


def test_what_lies_at_an_address_is_kept_too(batched: Path, keep: Path, tmp_path: Path) -> None:
    origin = Path(shutil.copytree(batched, tmp_path / "origin"))
    stream = avmit.stream(CONFIG, data_dir=f"file://{origin}", keep=keep)
    assert_same(list(stream), batched)
    for name in SHARDS[1:]:
        (origin / CONFIG / name).unlink()
    assert_same(list(stream), batched)
    assert_same(list(avmit.stream(CONFIG, data_dir=f"file://{origin}", keep=keep)), batched)


def test_batches_settle_too(filled: HubServer, batched: Path, keep: Path) -> None:
    every = [name for name in index_of(batched).columns if name not in ("audio", "visual")]
    batches = avmit.batches(streamed(keep), 16, columns=every)
    assert len(list(batches)) == 2
    assert shard_files(keep) == SHARDS[1:]
