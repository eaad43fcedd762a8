"""A package on the Hub, streamed: every row once, however the shards are shared out."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from support.hub.server import Fault, HubServer
from support.releases import assert_same_rows, expected_rows, split_names

import avmit

CONFIG = "vggish_vgg16"
READ = """
import json, sys
import avmit, datasets, torch
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader

way, repo_id, config = sys.argv[1:]


def names(rows):
    return [row["tfrecord_filename"] for row in rows]


def main():
    found = {}
    ways = {
        "datasets": lambda: datasets.load_dataset(
            repo_id, config, split="train", streaming=True
        ),
        "avmit": lambda: avmit.load(config, "train", data_dir=repo_id, streaming=True),
    }
    load = ways[way]
    for seed in (1, 2):
        found[f"shuffle {seed}"] = [names(load().shuffle(seed=seed, buffer_size=10))]
    for count in (1, 2):
        parts = [load().shard(num_shards=count, index=index) for index in range(count)]
        found[f"shard {count}"] = list(map(names, parts))
    for count in (2, 5):
        parts = [split_dataset_by_node(load(), rank, count) for rank in range(count)]
        found[f"nodes {count}"] = list(map(names, parts))
    for workers in (0, 2):
        loader = DataLoader(load().with_format("torch"), batch_size=None, num_workers=workers)
        rows = list(loader)
        assert all(row["audio"].dtype == torch.float32 for row in rows)
        assert all(row["audio"].shape[1] == 128 for row in rows)
        found[f"workers {workers}"] = [names(rows)]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
"""
WAYS = ("datasets", "avmit")


@pytest.mark.parametrize("way", WAYS)
def test_every_row_comes_once_however_shards_are_shared_out(
    sharded_package: Path, sharded_release: Path, tmp_path: Path, way: str
) -> None:
    pytest.importorskip("torch")
    with HubServer() as server:
        server.put_folder("ann/avmit", sharded_package)
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path),
        }
        environment.pop("HF_DATASETS_CACHE")
        ran = subprocess.run(
            [sys.executable, "-c", READ, way, "ann/avmit", CONFIG],
            env=environment,
            capture_output=True,
            text=True,
            cwd=Path(avmit.__file__).parent,
        )
    assert ran.returncode == 0, ran.stderr[-3000:]
    read: dict[str, list[list[str]]] = json.loads(ran.stdout)
    assert {shared: len(parts) for shared, parts in read.items()} == {
        "shuffle 1": 1,
        "shuffle 2": 1,
        "shard 1": 1,
        "shard 2": 2,
        "nodes 2": 2,
        "nodes 5": 5,
        "workers 0": 1,
        "workers 2": 1,
    }
    in_order = split_names(sharded_release, "train")
    for shared, parts in read.items():
        assert all(parts), shared
        assert Counter(name for part in parts for name in part) == Counter(in_order), shared
    assert read["shard 1"] == read["workers 0"] == [in_order]
    assert in_order != read["shuffle 1"][0] != read["shuffle 2"][0] != in_order


def stream(way: str, repo_id: str, **options: Any) -> Any:
    if way == "datasets":
        return load_dataset(repo_id, CONFIG, split="train", streaming=True, **options)
    return avmit.load(CONFIG, "train", data_dir=repo_id, streaming=True, **options)


@pytest.mark.parametrize("way", WAYS)
def test_rows_and_columns_are_those_of_the_release(
    hub: HubServer, sharded_package: Path, sharded_release: Path, cache: Path, way: str
) -> None:
    repo_id = f"ann/rows-{way}"
    hub.put_folder(repo_id, sharded_package)
    expected = expected_rows(sharded_release, CONFIG, "train")
    assert_same_rows(stream(way, repo_id).with_format("numpy"), expected)


def test_columns_are_the_only_ones_that_come(
    hub: HubServer, sharded_package: Path, sharded_release: Path, cache: Path
) -> None:
    hub.put_folder("ann/columns", sharded_package)
    rows = stream("avmit", "ann/columns", columns=["audio", "label"])
    assert list(rows.features) == ["audio", "label"]
    expected = expected_rows(sharded_release, CONFIG, "train")
    wanted = [{name: row[name] for name in ("audio", "label")} for row in expected]
    assert_same_rows(rows.with_format("numpy"), wanted)


def test_the_schema_is_read_without_a_whole_block(
    hub: HubServer, sharded_package: Path, cache: Path
) -> None:
    hub.put_folder("ann/schema", sharded_package)
    stream("avmit", "ann/schema")
    assert 0 < sum(request.sent for request in hub.of("^/storage/")) <= 2**17


def test_a_shard_is_read_over_one_connection(
    hub: HubServer, sharded_package: Path, sharded_release: Path, cache: Path
) -> None:
    """From its beginning to its end, not in blocks that are waited for."""
    hub.put_folder("ann/whole", sharded_package)
    rows = stream("avmit", "ann/whole")
    hub.reset_counts()
    names = [row["tfrecord_filename"] for row in rows]
    assert names == split_names(sharded_release, "train")
    shards = sorted((sharded_package / CONFIG).glob("train-*"))
    read = [r for r in hub.of("^/storage/", "GET") if r.sent > 2**17]
    assert [r.sent for r in read] == [path.stat().st_size for path in shards]
    assert {r.headers.get("Range") for r in read} <= {None, "bytes=0-"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [Fault("^/storage/", drop_after=1000), Fault("/resolve/.*train-00001", status=503)],
    ids=["dropped", "busy"],
)
def test_a_failing_request_is_made_again(
    hub: HubServer,
    sharded_package: Path,
    sharded_release: Path,
    cache: Path,
    way: str,
    fault: Fault,
) -> None:
    repo_id = f"ann/fault-{way}-{fault.status}"
    hub.put_folder(repo_id, sharded_package)
    rows = stream(way, repo_id)
    hub.faults = [Fault(**vars(fault))]
    names = [row["tfrecord_filename"] for row in rows]
    assert hub.faults == []
    assert names == split_names(sharded_release, "train")


def test_a_private_package_needs_a_token_that_may_read_it(
    hub: HubServer, sharded_package: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ann/hers", "ann/secret"):
        hub.put_folder(name, sharded_package)
        hub.dataset(name).private = True
    assert len(list(stream("avmit", "ann/hers"))) == 32
    monkeypatch.setenv("HF_TOKEN", "hf_bobwrites")
    line = "no config 'vggish_vgg16' in 'ann/secret': no such folder here, and none in a dataset "
    with pytest.raises(avmit.AvmitError, match=line):
        stream("avmit", "ann/secret")
