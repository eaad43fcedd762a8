"""What `avmit.batches` cannot do is told in one line."""

from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from support.feeding import SOME, assert_padded, in_memory, made_rows

import avmit


def refused(**options: Any) -> str:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.batches(in_memory(SOME), **options)
    assert str(error.value).isprintable()
    return str(error.value)


MOST = 2**64 - 1
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 on"),
    ({"batch_size": -4}, "batch_size=-4: it is a whole number from 1 on"),
    ({"batch_size": 32.0}, "batch_size=32.0 is not a whole number"),
    ({"batch_size": "32"}, "batch_size='32' is not a whole number"),
    ({"batch_size": None}, "batch_size=None is not a whole number"),
    ({"batch_size": True}, "batch_size=True: it is a whole number from 1 on"),
    ({"timesteps": 0}, "timesteps=0: it is a whole number from 1 on"),
    ({"timesteps": 7.5}, "timesteps=7.5 is not a whole number"),
    ({"seed": -1}, "seed=-1: it is a whole number from 0 on"),
    ({"seed": 2**64}, f"seed={2**64}: it is at most {MOST}, 2**64 - 1"),
    ({"seed": None}, "seed=None is not a whole number"),
    ({"epoch": -1}, "epoch=-1: it is a whole number from 0 on"),
    ({"rank": 1}, "rank=1 of world_size=1: ranks count from 0 to 0"),
    ({"rank": 4, "world_size": 4}, "rank=4 of world_size=4: ranks count from 0 to 3"),
    ({"rank": -1, "world_size": 4}, "rank=-1: it is a whole number from 0 on"),
    ({"world_size": 0}, "world_size=0: it is a whole number from 1 on"),
    ({"layout": "ragged"}, "layout='ragged': it is one of padded, jagged"),
    ({"format": "pandas"}, "format='pandas': it is one of numpy, torch, tensorflow, jax"),
    ({"format": None}, "format=None: it is one of numpy, torch, tensorflow, jax"),
    ({"on_long": "cut"}, "on_long='cut': it is one of error, truncate"),
    (
        {"layout": "jagged", "timesteps": 7},
        "timesteps=7 pads, and layout='jagged' does not: leave one out",
    ),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_options(options: dict[str, Any], said: str) -> None:
    assert refused(**options) == said


@pytest.mark.parametrize("ahead", [0, 2])
def test_a_row_that_is_too_long(ahead: int) -> None:
    """It is named by its number in what was given, shuffled or not."""
    ds = in_memory(SOME).select(range(1, 23))
    for shuffle, row in ((False, 0), (True, None)):
        batches = avmit.batches(ds, 4, timesteps=4, shuffle=shuffle, seed=3, ahead=ahead)
        with pytest.raises(avmit.AvmitError) as error:
            list(batches)
        said = str(error.value)
        number = int(said.split()[3])
        assert row is None or number == row
        assert len(made_rows(SOME)[1 + number]["visual"]) == 5
        assert said == (
            f"visual of row {number} has 5 timesteps, more than timesteps=4: raise that, or pass "
            'on_long="truncate"'
        )


def test_a_row_that_is_cut_off() -> None:
    (batch,) = avmit.batches(
        in_memory(SOME), 23, columns=("label", "filename"), timesteps=2, on_long="truncate"
    )
    assert_padded(batch, made_rows(SOME), 2)


TWICE = (
    "a batch would have two entries '{}', one that comes with embeddings and a column: give the "
    "column another name with rename_column"
)


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("padded", "audio_mask"),
        ("padded", "visual_lengths"),
        ("jagged", "audio_values"),
        ("jagged", "visual_offsets"),
    ],
)
def test_a_column_of_a_name_that_a_batch_has(layout: Any, name: str) -> None:
    ds = in_memory(SOME).rename_column("r1", name)
    with pytest.raises(avmit.AvmitError) as error:
        avmit.batches(ds, 4, columns=[name], layout=layout)
    assert str(error.value) == TWICE.format(name)
    with pytest.raises(avmit.AvmitError) as error:
        avmit.batches(ds.to_iterable_dataset(), 4, columns=[name], layout=layout)
    assert str(error.value) == TWICE.format(name)
    other: Any = "jagged" if layout == "padded" else "padded"
    assert next(iter(avmit.batches(ds, 4, columns=[name], layout=other)))[name].tolist() == [0] * 4


def test_embeddings_of_such_a_name() -> None:
    arrays = pa.array([[[1.0]]], pa.list_(pa.list_(pa.float32(), 1)))
    table = pa.table({"audio": arrays, "audio_mask": arrays})
    with pytest.raises(avmit.AvmitError) as error:
        avmit.batches(datasets.Dataset(table), visual=False, columns=())
    assert str(error.value) == TWICE.format("audio_mask")


def test_other_embeddings_come_by_themselves() -> None:
    arrays = pa.array([[[1.0]], []], pa.list_(pa.list_(pa.float32(), 1)))
    table = pa.table({"audio": arrays, "touch": arrays})
    (batch,) = avmit.batches(datasets.Dataset(table), visual=False, columns=())
    assert list(batch) == [
        *("audio", "audio_lengths", "audio_mask", "touch", "touch_lengths", "touch_mask")
    ]
    assert np.array_equal(batch["touch"], [[[1.0]], [[0.0]]])
