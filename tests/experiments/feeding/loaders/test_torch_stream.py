"""`avmit.torch_loader` of a stream: the same batches, of whatever number of workers."""

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.feeding import CONFIG, videos
from support.hub.server import Fault, HubServer
from support.streaming import (
    LENGTHS,
    LONG,
    column_bytes,
    fetched,
    index_of,
    ranges,
    streamed,
    write_indexed,
)

import avmit

torch = pytest.importorskip("torch")

REPO = "ann/tiny"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 rows in 18 record batches of three shards; never written to."""
    return write_indexed(tmp_path_factory.mktemp("tiny") / "avmit")


def loader_of(source: Any, workers: int = 0, size: int = 6, **options: Any) -> Any:
    """Return a loader of a stream that is shuffled unless it is said otherwise."""
    order = ("shuffle", "seed", "epoch", "rank", "world_size", "window", "ahead")
    asked = {name: options.pop(name) for name in order if name in options}
    if workers:
        options["multiprocessing_context"] = "fork"
    options = {"columns": ["label", "filename"], **options}
    stream = streamed(source, **{"shuffle": True, "seed": 5, **asked})
    return avmit.torch_loader(stream, size, num_workers=workers, **options)


def assert_same(found: Any, wanted: Any) -> None:
    """Compare batches of tensors bit for bit."""
    for one, other in zip(found, wanted, strict=True):
        assert list(one) == list(other)
        for name, value in one.items():
            assert type(value) is type(other[name])
            parts = value.unbind() if getattr(value, "is_nested", False) else [value]
            others = other[name].unbind() if getattr(value, "is_nested", False) else [other[name]]
            for part, whole in zip(parts, others, strict=True):
                if isinstance(part, list):
                    assert part == whole
                else:
                    assert part.dtype == whole.dtype
                    assert part.shape == whole.shape
                    assert part.numpy().tobytes() == whole.numpy().tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timesteps": 7, "size": 5},
        {"timesteps": 2, "on_long": "truncate", "drop_last": True},
        {"layout": "jagged"},
        {"audio": False, "columns": []},
        {"shuffle": False, "visual": False, "columns": ["r3", "filename"]},
        {"rank": 1, "world_size": 3, "window": 2},
        {"rank": 19, "world_size": 20, "columns": ["filename"]},
    ],
    ids=["padded", "timesteps", "full", "jagged", "visual", "in order", "rank", "no rows"],
)
def test_batches_are_those_of_the_stream(tiny: Path, options: dict[str, Any]) -> None:
    ordered: dict[str, Any] = {
        name: options[name]
        for name in ("shuffle", "rank", "world_size", "window")
        if name in options
    }
    rest: dict[str, Any] = {
        name: value for name, value in options.items() if name not in (*ordered, "size")
    }
    order: dict[str, Any] = {"shuffle": True, "seed": 5, **ordered}
    stream = streamed(tiny, **order)
    rest = {"columns": ["label", "filename"], **rest}
    wanted: Any = avmit.batches(stream, options.get("size", 6), format="torch", **rest)
    for workers in (0, 1, 2):
        loader = loader_of(tiny, workers, **options)
        assert len(loader) == len(wanted)
        wanted.set_epoch(0)
        for epoch in range(2):
            assert loader.state_dict() == {"seed": 5, "epoch": epoch, "position": 0}
            assert_same(loader, wanted)


def test_workers_that_stay(tiny: Path) -> None:
    loader = loader_of(tiny, 2, persistent_workers=True, prefetch_factor=1)
    other = loader_of(tiny)
    for _ in range(2):
        assert videos(loader) == videos(other)
    for _ in loader:
        break
    assert videos(loader) == videos(other)


@pytest.mark.parametrize("workers", [0, 2])
def test_it_goes_on_at_every_position(tiny: Path, workers: int) -> None:
    for shuffle in (False, True):
        options: dict[str, Any] = {"shuffle": shuffle, "audio": False, "visual": False}
        options["columns"] = ["filename"]
        loader = loader_of(tiny, workers, **options)
        whole, following = videos(loader), videos(loader)
        positions = range(len(whole) + 1) if not workers else (0, 1, 4, len(whole))
        for position in positions:
            state = {"seed": 5, "epoch": 0, "position": position}
            again = loader_of(tiny, workers, **options)
            again.load_state_dict(json.loads(json.dumps(state)))
            assert again.state_dict() == state
            assert videos(again) == whole[position:]
        assert videos(again) == following


@pytest.mark.parametrize("workers", [0, 2])
def test_a_state_counts_what_was_given(tiny: Path, workers: int) -> None:
    """And one of a loader with workers is one of a loader without, and of batches."""
    loader = loader_of(tiny, workers)
    for count, _ in enumerate(loader, 1):
        assert loader.state_dict() == {"seed": 5, "epoch": 0, "position": count}
        if count == 4:
            state = loader.state_dict()
            break
    rest = videos(loader_of(tiny))[4:]
    others: list[Any] = [
        loader_of(tiny, 2 - workers),
        streamed(tiny, shuffle=True, columns=["filename"], batch_size=6),
    ]
    for other in others:
        other.load_state_dict(state)
        assert videos(other) == rest


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world_size", [1, 3])
def test_ranks_and_workers_fetch_each_record_batch_once(
    hub: HubServer, tiny: Path, shuffle: bool, world_size: int
) -> None:
    hub.put_folder(REPO, tiny)
    options: dict[str, Any] = {"audio": False, "visual": False, "columns": ["filename"]}
    every = []
    for rank in range(world_size):
        loader = loader_of(REPO, 2, shuffle=shuffle, rank=rank, world_size=world_size, **options)
        every += [name for batch in videos(loader) for name in batch]
    assert len(every) == len(set(every)) == 53
    assert len(ranges(hub)) == len(set(ranges(hub))) == 18


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("columns", [("audio", "label"), ("visual",)])
def test_no_other_columns_bytes_are_fetched(
    hub: HubServer, tmp_path: Path, workers: int, columns: tuple[str, ...]
) -> None:
    package = write_indexed(tmp_path / "avmit", LONG, batch_rows=4)
    hub.put_folder(REPO, package)
    others = [name for name in columns if name == "label"]
    loader = loader_of(
        REPO, workers, audio="audio" in columns, visual="visual" in columns, columns=others
    )
    assert sum(len(batch[f"{columns[0]}_lengths"]) for batch in loader) == 48
    assert fetched(hub) <= 1.1 * column_bytes(package, columns)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_worker_cannot_fetch_is_told_in_one_line(
    hub: HubServer, tiny: Path, workers: int
) -> None:
    hub.put_folder(REPO, tiny)
    loader = loader_of(REPO, workers, shuffle=False, audio=False, visual=False, columns=["label"])
    hub.faults = [Fault("^/storage/", times=1000, change=lambda body: b"x" * len(body))]
    with pytest.raises(avmit.AvmitError) as error:
        list(loader)
    offset = index_of(tiny).shards[0].batches[0].offset
    assert str(error.value) == (
        f"{CONFIG}/train-00000-of-00003.arrow of '{REPO}', the record batch at byte {offset:,}: "
        "the bytes of label are not those of its CRC32C, 3 times; try again later, or ask its "
        "owner to make it again"
    )
    assert loader.state_dict() == {"seed": 5, "epoch": 0, "position": 0}
    assert multiprocessing.active_children() == []  # though the error is still here
    hub.faults = []
    assert len(list(loader)) == 9


@pytest.mark.parametrize("workers", [0, 2])
def test_a_row_that_is_too_long_is_told_by_its_place(tiny: Path, workers: int) -> None:
    longest = next(number for number, (audio, _) in enumerate(LENGTHS) if audio > 2)
    loader = loader_of(tiny, workers, shuffle=False, visual=False, timesteps=2)
    with pytest.raises(avmit.AvmitError) as error:
        list(loader)
    assert str(error.value) == (
        f"audio of row {longest} of the stream has 3 timesteps, more than timesteps=2: raise "
        'that, or pass on_long="truncate"'
    )


def test_a_quarter_of_the_requests_are_cut(hub: HubServer, tiny: Path) -> None:
    hub.put_folder(REPO, tiny)
    loader = loader_of(REPO, 2)
    for skip in range(0, 40, 4):
        hub.faults.append(Fault("^/storage/", skip=skip, drop_after=5))
    assert videos(loader) == videos(loader_of(tiny))
    assert len(hub.faults) < 10


def test_wrong_options(tiny: Path) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.torch_loader(streamed(tiny), 4, shuffle=True)
    assert str(error.value) == (
        "a stream has its order and ranks from avmit.stream: give shuffle=, rank= and world_size= "
        "there"
    )
    with pytest.raises(avmit.AvmitError) as error:
        avmit.torch_loader(streamed(tiny), 4, num_workers=2, in_order=False)
    assert str(error.value) == ("in_order=False: a state could not tell which batches were given")
    with pytest.raises(avmit.AvmitError) as error:
        avmit.torch_loader(streamed(tiny, columns=["label"]), 4, columns=["label"])
    assert str(error.value) == "no column 'audio' in these rows (label): pass audio=False"


SPAWNED = """
import json, sys
import avmit


def main():
    stream = avmit.stream("tiny", data_dir=sys.argv[1], shuffle=True, seed=5)
    loader = avmit.torch_loader(
        stream, 6, columns=["filename"], num_workers=1, multiprocessing_context="spawn"
    )
    loader.load_state_dict({"seed": 5, "epoch": 0, "position": 2})
    print(json.dumps([batch["filename"] for batch in loader]))


if __name__ == "__main__":
    main()
"""


def test_workers_that_are_spawned(hub: HubServer, tiny: Path, tmp_path: Path) -> None:
    """They are sent the stream with its commit, and ask for no index."""
    hub.put_folder(REPO, tiny)
    script = tmp_path / "spawned.py"
    script.write_text(SPAWNED)
    ran = subprocess.run(
        [sys.executable, str(script), REPO],
        env={**os.environ, "PYTHONPATH": str(Path(avmit.__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert json.loads(ran.stdout) == videos(loader_of(tiny))[2:]
    assert len(hub.of("index.json$")) == 1


def test_a_loaders_data_set_is_pickled_small(tiny: Path) -> None:
    size = (tiny / CONFIG / "index.json").stat().st_size
    assert len(pickle.dumps(loader_of(tiny, 2).dataset)) < size + 5_000
