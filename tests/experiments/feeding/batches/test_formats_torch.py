"""Batches of PyTorch's tensors."""

from typing import Any

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

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
COLUMNS = ("label", "filename")


def batches_of(some: Lengths, size: int, **options: Any) -> Any:
    return avmit.batches(in_memory(some), size, columns=COLUMNS, format="torch", **options)


@settings(max_examples=30)
@given(lengths, st.integers(1, 6), st.none() | st.integers(1, 6))
def test_padded(some: Lengths, size: int, timesteps: int | None) -> None:
    batches = batches_of(some, size, timesteps=timesteps, on_long="truncate")
    for batch, rows in zip(batches, in_batches(made_rows(some), size), strict=True):
        assert_padded(batch, rows, timesteps)


def test_types() -> None:
    batch = next(iter(batches_of(SOME, 5)))
    assert {name: value.dtype for name, value in batch.items() if name != "filename"} == {
        "audio": torch.float32,
        "audio_lengths": torch.int64,
        "audio_mask": torch.bool,
        "visual": torch.float32,
        "visual_lengths": torch.int64,
        "visual_mask": torch.bool,
        "label": torch.int64,
    }
    batch["audio"] += 1  # writable, and nobody else's
    assert_padded(next(iter(batches_of(SOME, 5))), made_rows(SOME)[:5])


@settings(max_examples=30)
@given(lengths, st.integers(1, 6))
def test_jagged_ones_are_nested_tensors(some: Lengths, size: int) -> None:
    batches = batches_of(some, size, layout="jagged")
    for batch, rows in zip(batches, in_batches(made_rows(some), size), strict=True):
        assert list(batch) == ["audio", "visual", *COLUMNS]
        for name, width in WIDTHS.items():
            nested = batch[name]
            assert nested.is_nested
            assert nested.layout == torch.jagged
            assert (nested.dtype, nested.shape[0], nested.shape[2]) == (
                *(torch.float32, len(rows), width),
            )
            found = [part.tolist() for part in nested.unbind()]
            assert found == [row[name].tolist() for row in rows]
        assert_columns(batch, rows)


def test_nested_tensors_are_computed_with() -> None:
    batch = next(iter(batches_of([(1 + n % 3, 2) for n in range(8)], 8, layout="jagged")))
    network = torch.nn.Linear(3, 4)
    (network(batch["audio"]).values() ** 2).sum().backward()
    assert network.weight.grad.abs().sum() > 0
