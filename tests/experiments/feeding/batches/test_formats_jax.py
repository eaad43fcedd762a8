"""Batches of JAX's arrays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feeding import (
    SOME,
    Lengths,
    assert_jagged,
    assert_padded,
    in_batches,
    in_memory,
    lengths,
    made_rows,
)

import avmit

jax = pytest.importorskip("jax", reason="JAX is not installed")
COLUMNS = ("label", "filename")


def batches_of(some: Lengths, size: int, **options: Any) -> Any:
    return avmit.batches(in_memory(some), size, columns=COLUMNS, format="jax", **options)


@settings(max_examples=30)
@given(lengths, st.integers(1, 6), st.none() | st.integers(1, 6))
def test_padded(some: Lengths, size: int, timesteps: int | None) -> None:
    batches = batches_of(some, size, timesteps=timesteps, on_long="truncate")
    for batch, rows in zip(batches, in_batches(made_rows(some), size), strict=True):
        assert_padded(batch, rows, timesteps)


@settings(max_examples=30)
@given(lengths, st.integers(1, 6))
def test_jagged(some: Lengths, size: int) -> None:
    batches = batches_of(some, size, layout="jagged")
    for batch, rows in zip(batches, in_batches(made_rows(some), size), strict=True):
        assert_jagged(batch, rows)


def test_types() -> None:
    """Numbers are of 32 bits to JAX, unless it is told otherwise."""
    batch = next(iter(batches_of(SOME, 5)))
    whole = batch["label"].dtype
    assert whole == (np.int64 if jax.config.jax_enable_x64 else np.int32)
    assert {name: value.dtype for name, value in batch.items() if name != "filename"} == {
        "audio": np.float32,
        "audio_lengths": whole,
        "audio_mask": bool,
        "visual": np.float32,
        "visual_lengths": whole,
        "visual_mask": bool,
        "label": whole,
    }


def test_arrays_are_of_the_default_device_and_bound_to_none() -> None:
    """One that is bound to a device would take the whole computation there."""
    batch = next(iter(batches_of(SOME, 5)))
    for name, array in batch.items():
        if name != "filename":
            assert array.devices() == {jax.devices()[0]}
            assert not array.committed


def test_a_training_step_is_compiled_once() -> None:
    compiled = 0

    def step(weights: Any, audio: Any, lengths: Any, label: Any) -> Any:
        nonlocal compiled
        compiled += 1
        mean = audio.sum(1) / jax.numpy.maximum(lengths, 1)[:, None]
        logits = jax.nn.log_softmax(mean @ weights)
        return -jax.numpy.take_along_axis(logits, label[:, None], 1).mean()

    compiling = jax.jit(step)
    weights = jax.numpy.ones((3, 4)) * 1e-3
    losses = [
        float(compiling(weights, batch["audio"], batch["audio_lengths"], batch["label"]))
        for batch in batches_of(SOME, 4, timesteps=5, drop_last=True)
    ]
    assert len(losses) == 5
    assert np.isfinite(losses).all()
    assert compiled == 1
