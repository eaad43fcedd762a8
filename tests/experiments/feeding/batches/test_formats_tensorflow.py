"""Batches of TensorFlow's tensors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feeding import (
    SOME,
    WIDTHS,
    Lengths,
    assert_columns,
    assert_padded,
    in_batches,
    in_memory,
    lengths,
    made_rows,
)

import avmit

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
COLUMNS = ("label", "filename")


def batches_of(some: Lengths, size: int, **options: Any) -> Any:
    return avmit.batches(in_memory(some), size, columns=COLUMNS, format="tensorflow", **options)


@settings(max_examples=30)
@given(lengths, st.integers(1, 6), st.none() | st.integers(1, 6))
def test_padded(some: Lengths, size: int, timesteps: int | None) -> None:
    batches = batches_of(some, size, timesteps=timesteps, on_long="truncate")
    for batch, rows in zip(batches, in_batches(made_rows(some), size), strict=True):
        assert_padded(batch, rows, timesteps)


def test_types() -> None:
    batch = next(iter(batches_of(SOME, 5)))
    assert {name: value.dtype for name, value in batch.items() if name != "filename"} == {
        "audio": tf.float32,
        "audio_lengths": tf.int64,
        "audio_mask": tf.bool,
        "visual": tf.float32,
        "visual_lengths": tf.int64,
        "visual_mask": tf.bool,
        "label": tf.int64,
    }


@settings(max_examples=30)
@given(lengths, st.integers(1, 6))
def test_jagged_ones_are_ragged_tensors(some: Lengths, size: int) -> None:
    batches = batches_of(some, size, layout="jagged")
    for batch, rows in zip(batches, in_batches(made_rows(some), size), strict=True):
        assert list(batch) == ["audio", "visual", *COLUMNS]
        for name, width in WIDTHS.items():
            ragged = batch[name]
            assert isinstance(ragged, tf.RaggedTensor)
            assert (ragged.dtype, ragged.shape) == (tf.float32, [len(rows), None, width])
            assert ragged.to_list() == [row[name].tolist() for row in rows]
        assert_columns(batch, rows)


def test_tensors_are_computed_with_after_their_batch_is_gone() -> None:
    """They may share the memory of arrays, which they then keep."""
    sums = []
    kept = []
    for batch in batches_of(SOME, 4):
        kept.append(batch["audio"])
        sums.append(float(np.sum(batch["audio"].numpy(), dtype=np.float64)))
    # Operations on memory that is not aligned would end the process.
    found = [float(tf.reduce_sum(tf.cast(audio @ tf.eye(3), tf.float64))) for audio in kept]
    assert found == sums
