"""`avmit.stream`: rows exact and once, wherever the package lies, and no bytes but theirs."""

import pickle
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from support.feeding import CONFIG
from support.hub.server import Fault, HubServer
from support.releases import assert_same_rows, expected_rows
from support.streaming import (
    LENGTHS,
    LONG,
    column_bytes,
    fetched,
    full,
    in_record_batches,
    names,
    ranges,
    streamed,
    write_indexed,
)

import avmit

REPO = "ann/tiny"
IN_ORDER = names(full())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 rows of train in 18 record batches of three shards, and 7 of test; never written to."""
    return write_indexed(tmp_path_factory.mktemp("tiny") / "avmit", test=LENGTHS[:7])


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 rows in 12 record batches of three shards, most bytes of which are embeddings."""
    return write_indexed(tmp_path_factory.mktemp("long") / "avmit", LONG, batch_rows=4)


@pytest.fixture
def served(tiny: Path) -> Iterator[str]:
    """A plain web server of `tiny`, which knows no ranges; its address."""
    handler = partial(_Quiet, directory=str(tiny))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def memory(tiny: Path) -> Iterator[str]:
    """`tiny` in the memory of fsspec; its address."""
    fs: Any = fsspec.filesystem("memory")
    for path in tiny.rglob("*.*"):
        fs.pipe(f"/kept/avmit/{path.relative_to(tiny).as_posix()}", path.read_bytes())
    yield "memory://kept/avmit"
    fs.rm("/kept", recursive=True)


@pytest.fixture(params=["folder", "hub", "memory", "http"])
def place(request: pytest.FixtureRequest, tiny: Path) -> Any:
    """Where `tiny` lies."""
    if request.param == "hub":
        request.getfixturevalue("hub").put_folder(REPO, tiny)
        return REPO
    if request.param == "folder":
        return tiny
    return request.getfixturevalue("memory" if request.param == "memory" else "served")


def test_rows_are_the_packages_wherever_it_lies(place: Any) -> None:
    rows = streamed(place)
    assert len(rows) == 53
    assert_same_rows(rows, full())
    assert all(type(row["label"]) is int and type(row["filename"]) is str for row in rows)
    assert_same_rows(streamed(place, split="test"), full(LENGTHS[:7]))
    mixed = list(streamed(place, shuffle=True, seed=5))
    assert names(mixed) != IN_ORDER
    assert_same_rows(sorted(mixed, key=lambda row: row["r3"]), _by_r3())


def _by_r3() -> list[dict[str, Any]]:
    return sorted(full(), key=lambda row: row["r3"])


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("columns", [None, ["visual"], ["label", "audio", "filename"]])
def test_compressed_shards(tmp_path: Path, compression: str, columns: list[str] | None) -> None:
    package = write_indexed(tmp_path / "avmit", compression=compression)
    wanted = [{name: row[name] for name in columns or row} for row in full()]
    assert_same_rows(streamed(package, columns=columns), wanted)
    order = names(streamed(package, shuffle=True, columns=["filename"]))
    by_name = {row["filename"]: number for number, row in enumerate(full())}
    mixed = [wanted[by_name[name]] for name in order]
    assert_same_rows(streamed(package, shuffle=True, columns=columns), mixed)


def test_rows_of_a_converted_release(sharded_package: Path, sharded_release: Path) -> None:
    for split in ("train", "test"):
        rows = avmit.stream("vggish_vgg16", split, data_dir=sharded_package)
        assert_same_rows(rows, expected_rows(sharded_release, "vggish_vgg16", split))
    ratings = avmit.stream("ratings", "train", data_dir=sharded_package)
    assert_same_rows(ratings, expected_rows(sharded_release, "ratings", "train"))


def test_columns_come_in_the_order_in_which_they_are_named(tiny: Path) -> None:
    for columns in (["visual", "label", "audio"], ("r3",), ["filename", "audio"]):
        rows = streamed(tiny, columns=columns)
        assert list(rows.features) == list(columns)
        assert_same_rows(rows, [{name: row[name] for name in columns} for row in full()])
    assert streamed(tiny).features["label"].names == ["clap", "dive", "drum", "yawn"]


@pytest.mark.parametrize("columns", [["audio", "label"], ["visual"], ["label"], None])
@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_no_other_columns_bytes_are_fetched(
    hub: HubServer, tmp_path: Path, columns: list[str] | None, compression: str, shuffle: bool
) -> None:
    package = write_indexed(tmp_path / "avmit", LONG, compression, batch_rows=4)
    hub.put_folder(REPO, package)
    rows = streamed(REPO, columns=columns, shuffle=shuffle)
    assert fetched(hub) == 0
    assert len(list(rows)) == 48
    assert fetched(hub) <= 1.1 * column_bytes(package, columns or list(rows.columns))
    assert len(set(ranges(hub))) == len(ranges(hub))


@pytest.mark.parametrize("world_size", [2, 3, 5, 20])
@pytest.mark.parametrize("shuffle", [False, True])
def test_ranks_share_record_batches(
    hub: HubServer, tiny: Path, world_size: int, shuffle: bool
) -> None:
    """Each row comes once, and no byte is fetched by two."""
    hub.put_folder(REPO, tiny)
    options = {"shuffle": shuffle, "seed": 3, "world_size": world_size, "columns": ["filename"]}
    parts = [streamed(REPO, rank=rank, **options) for rank in range(world_size)]
    counts = list(map(len, parts))
    found = [names(part) for part in parts]
    assert counts == list(map(len, found))
    every = [name for part in found for name in part]
    assert len(every) == 53
    assert set(every) == set(IN_ORDER)
    assert len(set(ranges(hub))) == len(ranges(hub)) == 18
    groups = in_record_batches(tiny)
    if not shuffle:
        shares = [groups[rank::world_size] for rank in range(world_size)]
        assert found == [[name for group in share for name in group] for share in shares]
    else:
        shares = [[g for g in groups if g[0] in part] for part in found]
        assert {len(share) for share in shares} <= {18 // world_size, -(-18 // world_size)}
        assert [{name for g in share for name in g} for share in shares] == list(map(set, found))
    again = names(streamed(REPO, rank=0, **{**options, "seed": 4}))
    assert (again != found[0]) == shuffle


def test_the_first_row_waits_for_one_record_batch(hub: HubServer, long: Path) -> None:
    """Which comes alone; then as many come at a time as `ahead` says."""
    hub.put_folder(REPO, long)
    rows = streamed(REPO, ahead=4, columns=["audio"])
    gate = threading.Event()
    hub.faults = [Fault("^/storage/", skip=1, times=20, before=lambda: gate.wait(20))]
    coming = iter(rows)
    for _ in range(4):
        next(coming)
    gate.set()
    assert len(list(coming)) == 44
    barrier = threading.Barrier(4)
    hub.faults = [Fault("^/storage/", skip=1, times=8, before=lambda: barrier.wait(20))]
    assert len(list(rows)) == 48
    assert not barrier.broken


def test_the_token_goes_to_the_hub_alone(hub: HubServer, tiny: Path) -> None:
    """The links to its storage are signed, and lie on another host."""
    hub.put_folder(REPO, tiny)
    hub.dataset(REPO).private = True
    assert names(streamed(REPO, shuffle=True, columns=["filename", "audio"])) != IN_ORDER
    asked, stored = hub.of("/resolve/"), hub.of("^/storage/")
    assert len(stored) >= 18
    # A link serves all ranges of its shard, but where several ask for the first of them.
    assert len(asked) <= 2 + 8 + 3
    assert {r.headers.get("Authorization") for r in asked} == {"Bearer hf_annwrites"}
    assert {r.headers.get("Authorization") for r in stored} == {None}
    assert {r.headers["Host"].split(":")[0] for r in stored} == {"localhost"}


def test_an_iterator_that_is_left_leaves_no_thread(hub: HubServer, tiny: Path) -> None:
    hub.put_folder(REPO, tiny)
    before = set(threading.enumerate())
    closed = iter(streamed(REPO, shuffle=True))
    next(closed)
    closed.close()
    for batch_size in (None, 4):
        dropped = iter(streamed(REPO, shuffle=True, batch_size=batch_size))
        next(dropped)
        del dropped
        for _ in streamed(REPO, batch_size=batch_size):
            pass
        unused = iter(streamed(REPO, batch_size=batch_size))
        del unused
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("avmit"):
            thread.join(10)
            assert not thread.is_alive()


def test_a_stream_is_pickled_small_and_stays_with_its_commit(
    hub: HubServer, tiny: Path, long: Path
) -> None:
    first = hub.put_folder(REPO, tiny)
    stream = streamed(REPO, shuffle=True, seed=2)
    size = sum(path.stat().st_size for path in tiny.rglob("index.json"))
    hub.dataset(REPO)
    sent = pickle.dumps(stream)
    assert len(sent) < size + 5_000
    for path in long.rglob("*.*"):
        hub.put(REPO, {path.relative_to(long).as_posix(): path})
    copy = pickle.loads(sent)
    hub.reset_counts()
    wanted = list(streamed(tiny, shuffle=True, seed=2))
    assert_same_rows(copy, wanted)
    assert_same_rows(stream, wanted)
    assert all(f"/resolve/{first.oid}/" in r.path for r in hub.of("/resolve/"))
    copy = pickle.loads(pickle.dumps(streamed(tiny, batch_size=4)))
    assert [len(batch["label"]) for batch in copy] == [4] * 13 + [1]


def test_a_package_is_replaced_on_the_hub_while_a_stream_runs(
    hub: HubServer, tiny: Path, long: Path
) -> None:
    hub.put_folder(REPO, tiny)
    stream = streamed(REPO, ahead=1)
    coming = iter(stream)
    rows = [next(coming)]
    for path in long.rglob("*.*"):
        hub.put(REPO, {path.relative_to(long).as_posix(): path})
    rows += coming
    assert_same_rows(rows, full())
    assert_same_rows(stream, full())
    assert_same_rows(streamed(REPO), full(LONG))


def test_revision(hub: HubServer, tiny: Path, long: Path) -> None:
    first = hub.put_folder(REPO, tiny)
    for path in long.rglob("*.*"):
        hub.put(REPO, {path.relative_to(long).as_posix(): path})
    repository = hub.dataset(REPO)
    repository.refs["refs/heads/older"] = first.oid
    for revision in (first.oid, "older"):
        assert_same_rows(streamed(REPO, revision=revision), full())
    assert len(streamed(REPO, revision="main")) == 48


def test_the_whole_of_a_package_is_found_with_two_requests(hub: HubServer, tiny: Path) -> None:
    hub.put_folder(REPO, tiny)
    assert len(streamed(REPO)) == 53
    assert sorted(r.path for r in hub.requests) == [
        f"/datasets/{REPO}/resolve/main/{CONFIG}/{name}" for name in ("index.json", "manifest.json")
    ]
