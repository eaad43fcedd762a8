"""`avmit extract --executor ray` on a real Ray of two nodes, one of which is lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.lab import BY_HELD, Lab, ended, files
from support.mit import path_of, rows
from support.slurm import until

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"), {})


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray with one node of one core."""
    started = cluster_utils.Cluster(initialize_head=True, head_node_args=NODE)
    yield started
    started.shutdown()


def test_a_node_that_is_lost_half_way(lab: Lab, cluster: Any) -> None:
    assert lab.extract("quiet", "12kB").code == 0
    other = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    before = lab.calls
    by_ray = ("--executor", "ray", "--ray-address", cluster.address)
    hold = lab.folder / "hold-None"
    hold.touch()
    process = lab.start(*lab.command("rough", "--max-shard-size", "12kB", *BY_HELD, *by_ray))
    until(lambda: lab.calls - before >= 6)  # both nodes are at work
    cluster.remove_node(other, allow_graceful=False)
    hold.unlink()
    ran = ended(process)
    assert (ran.code, ran.err) == (0, ""), ran
    assert ran.out.splitlines() == [
        "mine: test 16 rows",
        'rough: load it with load_dataset("rough", "mine")',
    ]
    assert files(lab.folder / "rough") == files(lab.folder / "quiet")
    assert lab.calls - before <= 16 + 4

    row = rows(lab.folder / "sources")[0]
    path_of(lab.folder / "mit", row).write_bytes(b"no video")
    ran = ended(lab.start(*lab.command("bad", "--max-shard-size", "12kB", *BY_HELD, *by_ray)))
    assert (ran.code, ran.err) == (1, "")
    failed, lacking = ran.out.splitlines()
    assert failed.startswith("mine: shard 0 failed on ")
    assert f": avmit: test-00000-of-00004.arrow: bad videos in mit: {row['filename']} " in failed
    assert lacking == "mine: shards 0 of 4 are not done: run again to go on"
