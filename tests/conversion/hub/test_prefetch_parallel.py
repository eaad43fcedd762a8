"""`avmit prefetch --parallel`: several shards at a time, and good order when one cannot come."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.commands import Run
from support.hub.server import Fault, HubServer
from support.prefetching import CONFIG, FIRST, REPO, SHARDS, contents, edit_manifest, stored

import avmit
from conversion.hub import remote as hub_remote
from conversion.hub.prefetch import prefetch

CONFIGS = 4


@pytest.fixture
def filled(hub: HubServer, sharded_package: Path) -> HubServer:
    """The Hub with `sharded_package` as ann/avmit."""
    hub.put_folder(REPO, sharded_package)
    return hub


def meeting(hub: HubServer, count: int) -> threading.Barrier:
    """Let requests of shards wait until so many are there at a time."""
    barrier = threading.Barrier(count)
    hub.faults = [Fault("^/storage/", times=count, before=lambda: barrier.wait(20))]
    return barrier


@pytest.mark.parametrize("parallel", [2, 3, 6])
def test_so_many_come_at_a_time(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run, parallel: int
) -> None:
    barrier = meeting(filled, parallel)
    ran = run("prefetch", REPO, "--parallel", parallel)
    assert (ran.code, ran.err) == (0, "")
    assert not barrier.broken
    assert contents(tmp_path / "avmit") == contents(sharded_package)
    shards = list(sharded_package.rglob("*.arrow"))
    assert len(filled.of("^/storage/")) == len(shards) == 6
    assert stored(filled) == sum(path.stat().st_size for path in shards)
    assert [line.partition(":")[0] for line in ran.out.splitlines()[:CONFIGS]] == [
        *("ratings", "raw_ratings", "test_set", CONFIG),
    ]


def test_four_by_default(filled: HubServer, run: Run) -> None:
    barrier = meeting(filled, 4)
    assert run("prefetch", REPO).code == 0
    assert not barrier.broken


@pytest.mark.parametrize("parallel", ["0", "33", "x"])
def test_how_many_there_may_be(tmp_path: Path, run: Run, parallel: str) -> None:
    ran = run("prefetch", REPO, "--parallel", parallel)
    assert (ran.code, ran.out) == (2, "")
    assert not (tmp_path / "avmit").exists()


def test_ranges_are_smaller_where_many_come_at_a_time(
    filled: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held in memory is bounded by what is asked for at a time, in all."""
    monkeypatch.setattr("conversion.hub.prefetch._HELD", 400_000)
    monkeypatch.setattr("conversion.hub.prefetch._LEAST_RANGE", 10_000)
    prefetch(REPO, tmp_path / "avmit", [CONFIG], parallel=8)
    largest = max(request.sent for request in filled.of("^/storage/"))
    assert largest == 50_000
    assert len(filled.of("^/storage/")) == 15  # three shards of 246,432 bytes or less


def test_progress_and_counts_are_those_of_all(filled: HubServer, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    _, done = prefetch(REPO, tmp_path / "avmit", progress=lambda *at: told.append(at), parallel=6)
    total = sum(shard.bytes for item in done for shard in item.manifest.shards)
    assert told[0] == (0, total)
    assert {of for _, of in told} == {total}
    assert sum(size for size, _ in told) == total
    for item in done:
        assert item.received == sum(shard.bytes for shard in item.manifest.shards)


def test_an_error_in_one_leaves_what_came_of_the_others(
    filled: HubServer,
    sharded_package: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_remote, "RANGE", 50_000)
    sizes = {name: (sharded_package / CONFIG / name).stat().st_size for name in SHARDS}
    file = filled.dataset(REPO).head().files[FIRST]
    together = threading.Barrier(3)
    filled.faults = [
        Fault("^/storage/", times=3, before=lambda: together.wait(20)),
        Fault(f"^/storage/.*{file.sha256}", times=99, status=404),
        Fault("^/storage/", skip=4, times=99, bytes_per_second=100_000),
    ]
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("avmit: ") == ran.err.count("\n")
    assert contents(tmp_path / "avmit") == {}
    parts = list(tmp_path.glob("avmit/.avmit-work/*/.*.part"))
    there = sum(path.stat().st_size for path in parts)
    assert there >= 2 * 50_000
    assert [thread.name for thread in threading.enumerate() if "run_threads" in thread.name] == []
    filled.faults = []
    filled.reset_counts()
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert (ran.code, ran.err) == (0, "")
    left = sum(sizes.values()) - there
    whole = [name for name in SHARDS if not any(f".{name}." in path.name for path in parts)]
    assert stored(filled) == left - sum(sizes[name] for name in whole if name != SHARDS[1])
    for name, content in contents(tmp_path / "avmit").items():
        assert name == "README.md" or content == (sharded_package / name).read_bytes()


def test_a_wrong_list_is_told_before_its_shards_are_waited_for(
    filled: HubServer, tmp_path: Path, run: Run
) -> None:
    edit_manifest(filled, lambda manifest: manifest.update(missing_records=5))
    filled.faults = [Fault("^/storage/", skip=3, times=99, bytes_per_second=100_000)]
    ran = run("prefetch", REPO, "--parallel", 8)
    said = f"avmit: {CONFIG}/missing_records.csv in '{REPO}' has 0 rows, its manifest.json says 5: "
    assert ran.err.startswith(said)


def test_interrupted_while_several_come(
    filled: HubServer, sharded_package: Path, tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    filled.faults = [Fault("^/storage/", times=99, bytes_per_second=100_000)]
    command = [sys.executable, "-m", "avmit_cli", "prefetch", REPO]
    command += ["--config", CONFIG, "--out", str(out)]
    root = Path(avmit.__file__).parent
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(filled.of("^/storage/")) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "avmit: interrupted; run again to go on\n")
    assert contents(out) == {}
    filled.faults = []
    subprocess.run(command, cwd=root, check=True, env=os.environ, stdout=subprocess.DEVNULL)
    for name, content in contents(out).items():
        assert name == "README.md" or content == (sharded_package / name).read_bytes()
    assert len(contents(out)) == 6


def test_waits_of_several_are_whole_lines(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    filled.faults = [Fault("^/storage/", times=6, status=503)]
    ran = run("prefetch", REPO, "--parallel", 6)
    assert ran.code == 0
    assert len(ran.err.splitlines()) == 6
    assert all(line.startswith("avmit: the Hub answers 503: ") for line in ran.err.splitlines())
    assert contents(tmp_path / "avmit") == contents(sharded_package)


def test_without_an_index_on_the_hub_one_is_made(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    names = [name for name in filled.dataset(REPO).head().files if name.endswith("index.json")]
    assert len(names) == CONFIGS
    for content in (b"{}", None):
        filled.put(REPO, dict.fromkeys(names, content))
        out = tmp_path / f"{content!r}" / "avmit"
        assert run("prefetch", REPO, "--out", out).code == 0
        assert contents(out) == contents(sharded_package)
        assert run("verify", out).code == 0
