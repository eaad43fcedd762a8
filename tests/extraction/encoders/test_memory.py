"""Batches that do not fit into the memory are computed in parts."""

from typing import Any

import numpy as np
import pytest

from avmit import AvmitError
from extraction.encoders.memory import Parts, gpu_batch

ITEMS = np.arange(32, dtype=np.float32)[:, None]


def parts(fitting: int, sizes: list[int]) -> tuple[Parts, Any]:
    """Return parts of a batch of 32 of which `fitting` fit, and what computes them."""

    def compute(items: Any) -> Any:
        values = items["x"] if isinstance(items, dict) else items
        sizes.append(len(values))
        if len(values) > fitting:
            raise MemoryError
        return values * 2

    return Parts("mine", "cuda", 32, lambda error: isinstance(error, MemoryError)), compute


@pytest.mark.parametrize("items", [ITEMS, {"x": ITEMS}])
def test_a_batch_is_halved_until_it_fits(items: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sizes: list[int] = []
    fitting, compute = parts(8, sizes)
    for _ in range(2):
        np.testing.assert_array_equal(fitting.run(items, compute), ITEMS * 2)
    assert sizes == [32, 16, *[8] * 8]
    assert capsys.readouterr().err.splitlines() == [
        "avmit: mine: out of memory with 32 at a time, going on with 16",
        "avmit: mine: out of memory with 16 at a time, going on with 8",
    ]


def test_a_single_item_that_is_too_much() -> None:
    fitting, compute = parts(0, [])
    with pytest.raises(AvmitError, match="mine: cuda has not enough memory for a single item"):
        fitting.run(ITEMS, compute)


def test_other_errors_are_not_hidden() -> None:
    fitting = Parts("mine", "cpu", 32, lambda error: False)
    with pytest.raises(ZeroDivisionError):
        fitting.run(ITEMS, lambda items: 1 // 0)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("side", "batch"), [(32, 256), (224, 256), (299, 128), (480, 32), (1024, 32)]
)
def test_larger_frames_go_to_a_gpu_in_smaller_batches(side: int, batch: int) -> None:
    assert gpu_batch(side) == batch
