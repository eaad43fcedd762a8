"""`avmit.batches` puts rows together as a loop over them would."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feeding import (
    CONFIG,
    KINDS,
    SOME,
    Lengths,
    assert_jagged,
    assert_padded,
    in_batches,
    in_memory,
    lengths,
    made_rows,
    videos,
    write_package,
)

import avmit

COLUMNS = ("label", "filename")
sizes = st.integers(1, 6)


@settings(max_examples=80)
@given(lengths, sizes, st.none() | st.integers(1, 6), st.booleans(), st.integers(0, 3))
def test_padded_batches_are_those_of_a_loop(
    some: Lengths, size: int, timesteps: int | None, drop_last: bool, ahead: int
) -> None:
    batches: Any = avmit.batches(
        in_memory(some),
        size,
        columns=COLUMNS,
        timesteps=timesteps,
        on_long="truncate",
        drop_last=drop_last,
        ahead=ahead,
    )
    expected = in_batches(made_rows(some), size, drop_last)
    assert len(batches) == len(expected)
    for batch, rows in zip(batches, expected, strict=True):
        assert_padded(batch, rows, timesteps)


@settings(max_examples=60)
@given(lengths, sizes, st.booleans())
def test_jagged_batches_are_those_of_a_loop(some: Lengths, size: int, drop_last: bool) -> None:
    batches: Any = avmit.batches(
        in_memory(some), size, columns=COLUMNS, layout="jagged", drop_last=drop_last
    )
    expected = in_batches(made_rows(some), size, drop_last)
    assert len(batches) == len(expected)
    for batch, rows in zip(batches, expected, strict=True):
        assert_jagged(batch, rows)


@settings(max_examples=60)
@given(
    st.data(),
    lengths,
    sizes,
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)
def test_ranks_share_an_epoch(
    data: st.DataObject,
    some: Lengths,
    size: int,
    shuffle: bool,
    drop_last: bool,
    world_size: int,
    seed: int,
    epoch: int,
) -> None:
    """Of any selection; together they have every row once, and with `drop_last` as many batches."""
    chosen = data.draw(st.permutations(range(len(some))))[: data.draw(st.integers(0, 14))]
    ds = in_memory(some).select(chosen)
    rows = [made_rows(some)[number] for number in chosen]
    options: dict[str, Any] = {
        "columns": COLUMNS,
        "shuffle": shuffle,
        "seed": seed,
        "epoch": epoch,
        "drop_last": drop_last,
    }
    if shuffle:
        together = avmit.batches(ds, 14, **{**options, "drop_last": False})
        names = [name for batch in videos(together) for name in batch]
        assert sorted(names) == sorted(row["filename"] for row in rows)
        rows = [next(row for row in rows if row["filename"] == name) for name in names]
    ranks = []
    for rank in range(world_size):
        batches: Any = avmit.batches(ds, size, rank=rank, world_size=world_size, **options)
        expected = in_batches(rows, size, drop_last, rank, world_size)
        ranks.append(list(batches))
        assert len(batches) == len(ranks[-1]) == len(expected)
        for batch, group in zip(ranks[-1], expected, strict=True):
            assert_padded(batch, group)
    given = [name for batches in ranks for batch in videos(batches) for name in batch]
    assert len(set(given)) == len(given)
    if drop_last:
        assert len({len(batches) for batches in ranks}) == 1
        assert len(given) == len(rows) // size // world_size * world_size * size
    else:
        assert sorted(given) == sorted(row["filename"] for row in rows)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return {kind: write_package(folder / kind / "avmit", SOME, kind) for kind in KINDS}


@pytest.mark.parametrize("way", ["avmit", "load_dataset", "in memory"])
@pytest.mark.parametrize("kind", KINDS)
def test_packages_of_every_kind(
    packages: dict[str, Path], kind: str, way: str, cache: Path
) -> None:
    if way == "avmit":
        ds = avmit.load(CONFIG, "train", data_dir=packages[kind])
    else:
        files = sorted(map(str, (packages[kind] / CONFIG).iterdir()))
        ds = datasets.load_dataset(
            "parquet" if kind == "parquet" else "arrow",
            data_files={"train": files},
            split="train",
            keep_in_memory=way == "in memory",
        )
    padded = list(avmit.batches(ds, 4, columns=COLUMNS))
    jagged = list(avmit.batches(ds, 4, columns=COLUMNS, layout="jagged"))
    expected = in_batches(made_rows(SOME), 4)
    assert len(padded) == len(jagged) == len(expected)
    for one, other, rows in zip(padded, jagged, expected, strict=True):
        assert_padded(one, rows)
        assert_jagged(other, rows)


def test_the_sets_of_a_release(package: Path) -> None:
    for config in ("vggish_vgg16", "yamnet_effnet"):
        ds = avmit.load(config, "train", data_dir=package)
        (batch,) = avmit.batches(ds, 100, timesteps=7, columns=("label", "r3", "filename"))
        assert batch["audio"].shape == (len(ds), 7, avmit.EMBEDDING_DIMS[config][0])
        assert batch["visual"].shape == (len(ds), 7, avmit.EMBEDDING_DIMS[config][1])
        for number, row in enumerate(ds):
            for name in ("audio", "visual"):
                array = np.array(row[name], np.float32)
                assert batch[name][number, : len(array)].tobytes() == array.tobytes()
                assert not batch[name][number, len(array) :].any()
                assert batch[f"{name}_lengths"][number] == len(array)
        assert batch["label"].tolist() == list(ds["label"])
        assert batch["r3"].tolist() == list(ds["r3"])
        assert batch["filename"] == list(ds["filename"])


def test_arrays_of_a_batch() -> None:
    """Of the types that are promised, aligned as frameworks want them, and nobody else's."""
    ds = in_memory(SOME)
    first, second, *_ = avmit.batches(ds, 5, columns=("label", "r3", "filename"))
    assert [
        (array.dtype, array.shape) for array in first.values() if not isinstance(array, list)
    ] == [
        (np.float32, (5, 3, 3)),
        (np.int64, (5,)),
        (bool, (5, 3)),
        (np.float32, (5, 5, 2)),
        (np.int64, (5,)),
        (bool, (5, 5)),
        (np.int64, (5,)),
        (np.int64, (5,)),
    ]
    for name in ("audio", "visual"):
        assert first[name].ctypes.data % 64 == 0
        assert first[name].flags.c_contiguous
    for name, array in first.items():
        if isinstance(array, list):
            continue
        array[...] = 1
        assert not np.shares_memory(array, second[name])
    assert_padded(next(iter(avmit.batches(ds, 5, columns=COLUMNS))), made_rows(SOME)[:5])


def test_columns_of_every_type() -> None:
    table = pa.table(
        {
            "small": pa.array([1, 2, 3], pa.uint8()),
            "half": pa.array([np.float16(0.5), np.float16(1.5), None], pa.float16()),
            "gaps": pa.array([1, None, 3], pa.int32()),
            "sure": pa.array([True, False, True]),
            "unsure": pa.array([True, None, False]),
            "name": pa.array(["a", None, "ü\n"]),
            "list": pa.array([[1], [], None], pa.list_(pa.int8())),
        }
    )
    (batch,) = avmit.batches(
        datasets.Dataset(table), audio=False, visual=False, columns=table.schema.names
    )
    assert list(batch) == table.schema.names
    assert (batch["small"].dtype, batch["small"].tolist()) == (np.uint8, [1, 2, 3])
    assert batch["half"].dtype == np.float16
    assert batch["gaps"].dtype == np.float64
    assert repr(batch["gaps"].tolist()) == "[1.0, nan, 3.0]"
    assert (batch["sure"].dtype, batch["sure"].tolist()) == (bool, [True, False, True])
    assert batch["unsure"] == [True, None, False]
    assert batch["name"] == ["a", None, "ü\n"]
    assert batch["list"] == [[1], [], None]


def test_missing_numbers_are_floats_in_all_batches() -> None:
    table = pa.table({"votes": pa.array([1, 2, None, 4], pa.int64())})
    batches: Any = avmit.batches(
        datasets.Dataset(table), 1, audio=False, visual=False, columns=["votes"]
    )
    assert [batch["votes"].dtype for batch in batches] == [np.float64] * 4


def test_no_rows_at_all() -> None:
    for options in ({}, {"shuffle": True}, {"drop_last": True}, {"layout": "jagged"}):
        batches: Any = avmit.batches(in_memory(SOME).select([]), 4, **options)
        assert len(batches) == 0
        assert list(batches) == list(batches) == []


def test_options_in_numbers_of_numpy() -> None:
    options: Any = {"batch_size": np.int64(4), "seed": np.uint8(3), "timesteps": np.int32(5)}
    batches: Any = avmit.batches(in_memory(SOME), columns=COLUMNS, **options)
    for batch, rows in zip(batches, in_batches(made_rows(SOME), 4), strict=True):
        assert_padded(batch, rows, 5)


def test_columns_of_an_iterator() -> None:
    names: Any = (name for name in COLUMNS)
    batches: Any = avmit.batches(in_memory(SOME), 30, columns=names)
    for _ in range(2):
        (batch,) = batches
        assert_padded(batch, made_rows(SOME))


def test_repr_says_what_a_batch_has() -> None:
    assert repr(avmit.batches(in_memory(SOME), 4, format="numpy")) == (
        "Batches(6 of 4, numpy: Rows(23 rows: audio (T, 3), visual (T, 2), label))"
    )
