"""`avmit.batches` of a stream gives the batches that it gives of the loaded rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from support.feeding import (
    CONFIG,
    KINDS,
    SOME,
    Lengths,
    assert_jagged,
    assert_padded,
    in_batches,
    made_rows,
    trained,
    videos,
    write_package,
)
from support.hostile import with_offset

import avmit

COLUMNS = ("label", "filename")
FULL: Lengths = [(1 + n % 3, 1 + (5 * n) % 6) for n in range(23)]
"""Lengths of rows none of which is empty: `datasets` 3.6 fails at those once it has shuffled."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    made = {kind: write_package(folder / kind / "avmit", SOME, kind) for kind in KINDS}
    return made | {"full": write_package(folder / "full" / "avmit", FULL)}


def stream_of(package: Path, way: str = "avmit") -> Any:
    if way == "avmit":
        return avmit.load(CONFIG, "train", data_dir=package, streaming=True)
    files = sorted(map(str, (package / CONFIG).iterdir()))
    builder = "parquet" if files[0].endswith("parquet") else "arrow"
    return datasets.load_dataset(
        builder, data_files={"train": files}, split="train", streaming=True
    )


def batches_of(stream: Any, **options: Any) -> Any:
    return avmit.batches(stream, 4, columns=COLUMNS, **options)


@pytest.mark.parametrize("way", ["avmit", "load_dataset"])
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_those_of_a_loop(packages: dict[str, Path], kind: str, way: str) -> None:
    stream = stream_of(packages[kind], way)
    expected = in_batches(made_rows(SOME), 4)
    for ahead in (0, 2):
        batches = batches_of(stream, ahead=ahead)
        for _ in range(2):
            for batch, rows in zip(batches, expected, strict=True):
                assert_padded(batch, rows)
    for batch, rows in zip(batches_of(stream, layout="jagged"), expected, strict=True):
        assert_jagged(batch, rows)
    for batch, rows in zip(
        batches_of(stream, drop_last=True, timesteps=2, on_long="truncate"),
        in_batches(made_rows(SOME), 4, drop_last=True),
        strict=True,
    ):
        assert_padded(batch, rows, 2)


def shuffled(stream: Any) -> Any:
    return stream.shuffle(seed=3, buffer_size=6)


def filtered(stream: Any) -> Any:
    return stream.filter(lambda row: row["r3"] % 3 > 0)


def part(stream: Any) -> Any:
    return stream.skip(2).take(17)


def mapped(stream: Any) -> Any:
    """As rows of Python's lists, which come without their types."""
    return stream.map(lambda row: {"r1": row["r1"] + 1}, features=stream.features)


def renamed(stream: Any) -> Any:
    return stream.rename_column("r1", "votes")


MADE: dict[str, tuple[Callable[[Any], Any], list[int]]] = {
    "as it is": (lambda stream: stream, list(range(23))),
    "shuffled": (shuffled, list(range(23))),
    "filtered": (filtered, [number for number in range(23) if number % 3]),
    "mapped": (mapped, list(range(23))),
    "renamed": (renamed, list(range(23))),
}


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("made", MADE)
def test_ranks_share_a_stream_and_go_on_with_it(
    packages: dict[str, Path], made: str, world_size: int
) -> None:
    """Where shards can be dealt out to ranks, as two, and where they cannot, as three."""
    make, numbers = MADE[made]
    rows = {row["filename"]: row for row in made_rows(FULL)}
    given: dict[int, list[str]] = {0: [], 1: []}
    for rank in range(world_size):
        options = {"rank": rank, "world_size": world_size}
        whole = batches_of(make(stream_of(packages["full"])), **options)
        for epoch in given:
            coming = list(whole)
            for batch in coming:
                assert_padded(batch, [rows[name] for name in batch["filename"]])
                given[epoch] += batch["filename"]
            for position in {1, len(coming) - 1, len(coming)}:
                again = batches_of(make(stream_of(packages["full"])), **options)
                again.load_state_dict({"seed": 0, "epoch": epoch, "position": position})
                assert videos(again) == videos(coming[position:])
                assert again.state_dict() == {"seed": 0, "epoch": epoch + 1, "position": 0}
    wanted = [f"video-{number}.mp4" for number in numbers]
    for names in given.values():
        assert sorted(names) == sorted(wanted)
    assert (given[0] != given[1]) == (made == "shuffled")


def test_a_part_of_a_stream(packages: dict[str, Path]) -> None:
    """Among ranks, `datasets` skips and takes of each shard."""
    whole = list(batches_of(part(stream_of(packages["full"]))))
    for batch, rows in zip(whole, in_batches(made_rows(FULL)[2:19], 4), strict=True):
        assert_padded(batch, rows)
    again = batches_of(part(stream_of(packages["full"])))
    again.load_state_dict({"seed": 0, "epoch": 0, "position": 3})
    assert videos(again) == videos(whole[3:])


@pytest.mark.skipif(
    int(datasets.__version__.split(".")[0]) < 4, reason="datasets 3.6 fails at empty rows itself"
)
@pytest.mark.parametrize("made", ["shuffled", "filtered", "mapped", "renamed"])
def test_rows_of_no_timesteps(packages: dict[str, Path], made: str) -> None:
    make, numbers = MADE[made]
    given = []
    for batch in batches_of(make(stream_of(packages["arrow"]))):
        assert_padded(batch, [made_rows(SOME)[int(name[6:-4])] for name in batch["filename"]])
        given += batch["filename"]
    assert sorted(given) == sorted(f"video-{number}.mp4" for number in numbers)


def test_two_iterators_of_one_stream(packages: dict[str, Path]) -> None:
    batches = batches_of(stream_of(packages["arrow"]))
    expected = videos(batches_of(stream_of(packages["arrow"])))
    one, other = iter(batches), iter(batches)
    assert videos([next(one), next(other), next(one)]) == [expected[0], expected[0], expected[1]]
    assert videos(one) == expected[2:]
    assert batches.state_dict() == {"seed": 0, "epoch": 0, "position": 1}
    assert videos(other) == expected[1:]


def test_the_stream_of_the_user_stays_as_it_is(packages: dict[str, Path]) -> None:
    stream = shuffled(stream_of(packages["full"]))
    before = [row["filename"] for row in stream]
    list(batches_of(stream))
    list(batches_of(stream, epoch=3))
    assert [row["filename"] for row in stream] == before
    assert isinstance(next(iter(stream))["audio"], list)


def test_what_a_stream_cannot_do(packages: dict[str, Path]) -> None:
    stream = stream_of(packages["arrow"])
    with pytest.raises(avmit.AvmitError) as error:
        batches_of(stream, shuffle=True)
    assert str(error.value) == (
        "a stream comes in its own order: pass shuffle=False, and shuffle it before with "
        "stream.shuffle(seed=..., buffer_size=...)"
    )
    with pytest.raises(TypeError):
        len(batches_of(stream))
    assert repr(batches_of(stream)) == "StreamBatches(of 4, numpy)"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"columns": "label"},
            "columns='label' is a string, not a list of names: columns=(\"label\",) says that",
        ),
        ({"columns": ["audio"]}, "'audio' holds embeddings, which come by themselves; "),
        ({"columns": ["lable"]}, "no column 'lable' in these rows; there are: filename, label"),
        ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 on"),
        ({"rank": 2, "world_size": 2}, "rank=2 of world_size=2: ranks count from 0 to 1"),
    ],
)
def test_bad_options_are_told_before_a_row_is_read(
    packages: dict[str, Path], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.batches(stream_of(packages["arrow"]), **options)
    assert str(error.value).startswith(said)


def test_a_row_that_is_too_long(packages: dict[str, Path]) -> None:
    batches = batches_of(stream_of(packages["arrow"]), timesteps=4)
    with pytest.raises(avmit.AvmitError) as error:
        list(batches)
    assert str(error.value) == (
        "visual of row 1 of the stream has 5 timesteps, more than timesteps=4: raise that, or pass "
        'on_long="truncate"'
    )
    batches = batches_of(stream_of(packages["arrow"]), timesteps=4)
    batches.load_state_dict({"seed": 0, "epoch": 0, "position": 1})
    with pytest.raises(avmit.AvmitError, match=r"^visual of row 7 of the stream has 5 "):
        list(batches)


def test_what_map_made_without_features(packages: dict[str, Path]) -> None:
    stream = stream_of(packages["arrow"]).skip(3).take(1).map(lambda row: {"more": 1})
    with pytest.raises(avmit.AvmitError) as error:
        list(batches_of(stream))
    assert str(error.value) == (
        "column 'audio' is list<item: list<item: double>>, not float32 arrays (T, D): pass "
        "audio=False, or features= to map if that made it so"
    )


def test_what_does_not_have_the_type_of_its_features(packages: dict[str, Path]) -> None:
    stream = stream_of(packages["arrow"])
    stream = stream.map(lambda row: {"audio": [[1.0, 2.0]]}, features=stream.features)
    with pytest.raises(avmit.AvmitError) as error:
        list(batches_of(stream))
    said = (
        "'audio' is not list<item: fixed_size_list<item: float>[3]> in all rows of the stream, as "
    )
    assert str(error.value).startswith(said + "its features say: ")
    assert str(error.value).isprintable()


def with_gaps(row: dict[str, Any]) -> dict[str, Any]:
    if row["r3"] == 1:
        return {"audio": None, "r1": None}
    if row["r3"] == 2:
        return {"audio": [[1.0, None, 3.0]]}
    return {}


def test_rows_and_values_that_are_missing(packages: dict[str, Path]) -> None:
    stream = stream_of(packages["arrow"])
    stream = stream.map(with_gaps, features=stream.features)
    batches = avmit.batches(stream, 2, columns=["r1"])
    coming = iter(batches)
    first = next(coming)
    assert first["audio_lengths"].tolist() == [0, 0]
    assert repr(first["r1"].tolist()) == "[0.0, nan]"
    with pytest.raises(avmit.AvmitError) as error:
        list(coming)
    assert str(error.value) == (
        "'audio' has missing values inside of its arrays: fill them, or drop those rows and call "
        "flatten_indices()"
    )


@pytest.mark.parametrize("offset", [2**31 - 1, -(2**31), 10**6, -1])
def test_hostile_offsets_are_one_line(tmp_path: Path, offset: int) -> None:
    package = write_package(tmp_path / "avmit", [(1, 1)] * 6)
    shard = package / CONFIG / "train-00001-of-00002.arrow"
    shard.write_bytes(with_offset(shard.read_bytes(), "audio", offset))
    batches = avmit.batches(stream_of(package), 3)
    coming = iter(batches)
    assert len(next(coming)["audio"]) == 3
    with pytest.raises(avmit.AvmitError) as error:
        next(coming)
    assert str(error.value).startswith(f"{shard} cannot be read as an Arrow stream (")
    assert str(error.value).isprintable()


def test_a_shard_that_was_replaced_meanwhile(tmp_path: Path) -> None:
    package = write_package(tmp_path / "avmit", SOME)
    coming = iter(batches_of(stream_of(package), ahead=0))
    next(coming)
    shard = package / CONFIG / "train-00001-of-00002.arrow"
    shard.write_bytes(shard.read_bytes() + b"\0" * 8)
    with pytest.raises(avmit.AvmitError) as error:
        list(coming)
    assert str(error.value) == f"{shard} was replaced since it was listed: load it again"


def test_the_sets_of_a_release(package: Path) -> None:
    whole = avmit.load("yamnet_effnet", "train", data_dir=package)
    stream = avmit.load("yamnet_effnet", "train", data_dir=package, streaming=True)
    for one, other in zip(avmit.batches(whole, 7), avmit.batches(stream, 7), strict=True):
        assert list(one) == list(other)
        for name, array in one.items():
            assert array.dtype == other[name].dtype
            assert np.array_equal(array, other[name])
            if array.dtype == np.float32:
                assert other[name].ctypes.data % 64 == 0


TRAIN = """
import json, sys
from pathlib import Path

import avmit

package, state = sys.argv[1], Path(sys.argv[2])
stream = avmit.load("tiny", "train", data_dir=package, streaming=True)
stream = stream.shuffle(seed=5, buffer_size=7)
batches = avmit.batches(stream, 4, columns=["filename"], rank=1, world_size=2)
if state.exists():
    batches.load_state_dict(json.loads(state.read_text()))
while batches.state_dict()["epoch"] < 2:
    for batch in batches:
        print(batch["audio"].tobytes().hex(), batch["filename"], flush=True)
        state.write_text(json.dumps(batches.state_dict()))
        print("done", flush=True)
        input()
"""


def test_a_run_that_is_killed_goes_on(packages: dict[str, Path], tmp_path: Path) -> None:
    whole = trained(TRAIN, packages["full"], tmp_path / "whole")
    assert len(whole) == 6
    taken = trained(TRAIN, packages["full"], tmp_path / "state", kill_after=4)
    taken += trained(TRAIN, packages["full"], tmp_path / "state")
    assert taken == whole
