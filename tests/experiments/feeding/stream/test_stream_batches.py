"""Batches of a stream: those of `avmit.batches` over the same rows in the same order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.feeding import CONFIG, assert_jagged, assert_padded, in_batches
from support.hub.server import HubServer
from support.streaming import (
    LENGTHS,
    LONG,
    column_bytes,
    fetched,
    full,
    names,
    streamed,
    write_indexed,
)

import avmit

COLUMNS = ["audio", "visual", "label", "filename"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 rows in 18 record batches of three shards; never written to."""
    return write_indexed(tmp_path_factory.mktemp("tiny") / "avmit")


def in_same_order(package: Path, **order: Any) -> Any:
    """Return the mapped rows of a package in the order of a stream."""
    rows = avmit.load(CONFIG, "train", data_dir=package)
    places = {name: number for number, name in enumerate(rows["filename"])}
    order_of = names(streamed(package, columns=["filename"], **order))
    return rows.select([places[name] for name in order_of])


def plain(value: Any) -> Any:
    """Take any framework's tensor apart, so that it can be compared."""
    if isinstance(value, list):
        return value
    if getattr(value, "is_nested", False):
        return [plain(part) for part in value.unbind()]
    if hasattr(value, "to_list"):  # a ragged tensor
        return [np.asarray(part).tolist() for part in value]
    array = np.asarray(value)
    return str(array.dtype), array.shape, array.tobytes()


def assert_same_batches(found: Any, wanted: Any) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert list(one) == list(other)
        for name in one:
            assert type(one[name]) is type(other[name])
            assert plain(one[name]) == plain(other[name])


FORMATS = ("numpy", "torch", "tensorflow", "jax")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timesteps": 7},
        {"timesteps": 2, "on_long": "truncate"},
        {"layout": "jagged"},
        {"drop_last": True},
    ],
    ids=["padded", "timesteps", "truncated", "jagged", "full"],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_those_of_the_mapped_rows(
    tiny: Path, format: Any, options: dict[str, Any], shuffle: bool
) -> None:
    pytest.importorskip(format)
    order: dict[str, Any] = {"shuffle": shuffle, "seed": 6, "window": 4}
    mapped = in_same_order(tiny, **order)
    wanted: Any = avmit.batches(mapped, 4, columns=["label", "filename"], format=format, **options)
    found = streamed(tiny, columns=COLUMNS, batch_size=4, format=format, **order, **options)
    assert len(found) == len(wanted) == (13 if "drop_last" in options else 14)
    assert_same_batches(found, wanted)
    options = {**options, "columns": ["label", "filename"], "format": format}
    assert_same_batches(avmit.batches(streamed(tiny, **order, epoch=0), 4, **options), wanted)


def test_batches_in_order_are_those_of_a_loop(tiny: Path) -> None:
    rows = full()
    for batch, wanted in zip(
        streamed(tiny, columns=COLUMNS, batch_size=5), in_batches(rows, 5), strict=True
    ):
        assert_padded(batch, wanted)
    jagged = streamed(tiny, columns=COLUMNS, batch_size=5, layout="jagged", shuffle=True)
    by_name = {row["filename"]: row for row in rows}
    for batch in jagged:
        assert_jagged(batch, [by_name[name] for name in batch["filename"]])


@pytest.mark.parametrize("columns", [["label", "audio"], ["audio"], ["visual", "r3"], ["label"]])
def test_batches_have_the_columns_that_are_named(
    hub: HubServer, tmp_path: Path, columns: list[str]
) -> None:
    package = write_indexed(tmp_path / "avmit", LONG, batch_rows=4)
    hub.put_folder("ann/tiny", package)
    batches = list(streamed("ann/tiny", columns=columns, batch_size=5))
    assert {name.split("_")[0] for name in batches[0]} == set(columns)
    assert fetched(hub) <= 1.1 * column_bytes(package, columns)


def test_by_default_the_embeddings_and_the_label(tiny: Path) -> None:
    batch = next(iter(streamed(tiny, batch_size=5)))
    assert list(batch) == [
        *("audio", "audio_lengths", "audio_mask", "visual", "visual_lengths", "visual_mask"),
        "label",
    ]
    asked = avmit.batches(streamed(tiny), 5, visual=False, columns=["r3"])
    assert list(next(iter(asked))) == ["audio", "audio_lengths", "audio_mask", "r3"]


@pytest.mark.parametrize(("world_size", "size"), [(2, 4), (3, 5), (4, 1), (18, 2), (19, 2)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_full_batches_are_as_many_on_each_rank(
    tiny: Path, world_size: int, size: int, shuffle: bool
) -> None:
    options: dict[str, Any] = {"world_size": world_size, "shuffle": shuffle, "columns": COLUMNS}
    for epoch in range(2):
        parts = [
            streamed(tiny, rank=rank, batch_size=size, drop_last=True, epoch=epoch, **options)
            for rank in range(world_size)
        ]
        counts = [len(part) for part in parts]
        found = [[name for batch in part for name in batch["filename"]] for part in parts]
        rows = [len(streamed(tiny, rank=r, epoch=epoch, **options)) for r in range(world_size)]
        assert counts == [min(rows) // size] * world_size
        assert [len(part) for part in found] == [count * size for count in counts]
        every = [name for part in found for name in part]
        assert len(set(every)) == len(every)


def test_a_row_that_is_too_long_is_told_by_its_place_in_the_stream(tiny: Path) -> None:
    longest = next(number for number, (audio, _) in enumerate(LENGTHS) if audio > 2)
    for size in (1, 2, 8):
        batches = streamed(tiny, columns=["audio"], batch_size=size, timesteps=2)
        coming = iter(batches)
        for _ in range(longest // size):
            next(coming)
        with pytest.raises(avmit.AvmitError) as error:
            next(coming)
        assert str(error.value) == (
            f"audio of row {longest} of the stream has 3 timesteps, more than timesteps=2: raise "
            'that, or pass on_long="truncate"'
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": "audio"}, "columns='audio' is a string: write columns=[\"audio\"]"),
        (
            {"columns": ["audio", "odd"]},
            "no column odd; there are: filename, label, MIT_label, r1, r2, r3, video_location, "
            "tfrecord_filename, audio, visual",
        ),
        ({"columns": ["audio", "label", "audio"]}, "columns audio, label, audio: name each once"),
        ({"rank": 2, "world_size": 2}, "rank=2 of world_size=2: ranks count from 0 to 1"),
        ({"world_size": 0}, "world_size=0: it is a whole number from 1 on"),
        ({"seed": -1}, "seed=-1: it is a whole number from 0 on"),
        ({"epoch": 0.5}, "epoch=0.5 is not a whole number"),
        ({"window": 0}, "window=0: it is a whole number from 1 on"),
        ({"ahead": -1}, "ahead=-1: it is a whole number from 1 on"),
        ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 on"),
        ({"batch_size": 4, "format": "x"}, "format='x': it is one of "),
        (
            {"batch_size": 4, "layout": "jagged", "timesteps": 3},
            "timesteps=3 pads, and layout='jagged' does not: leave one out",
        ),
    ],
)
def test_wrong_options(tiny: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        streamed(tiny, **options)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options", [{"timesteps": 7}, {"layout": "jagged"}, {"drop_last": True}, {"format": "torch"}]
)
def test_options_of_batches_without_batch_size(tiny: Path, options: dict[str, Any]) -> None:
    """Rows have none of them: it is told, not left out."""
    with pytest.raises(avmit.AvmitError) as error:
        streamed(tiny, **options)
    (name,) = options
    assert str(error.value) == f"{name}= is of batches: give batch_size= too"


@pytest.mark.parametrize("options", [{"shuffle": True}, {"rank": 1, "world_size": 2}])
def test_the_order_is_the_streams(tiny: Path, options: dict[str, Any]) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.batches(streamed(tiny), 4, **options)
    assert str(error.value) == (
        "a stream has its order and ranks from avmit.stream: give shuffle=, rank= and world_size= "
        "there"
    )
