"""Linear CKA, against kernels of all rows by all rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extraction.compare import cka
from extraction.compare.cka import alignment


def biased(x: Any, y: Any) -> Any:
    """Centre kernels as Kornblith et al. do."""
    centre = np.eye(len(x)) - 1 / len(x)
    kernels = [centre @ (v @ v.T) @ centre for v in (x.astype(np.float64), y.astype(np.float64))]
    return np.sum(kernels[0] * kernels[1]) / np.prod([np.linalg.norm(k) for k in kernels])


def debiased(x: Any, y: Any) -> Any:
    """Take Song's unbiased HSIC by centring kernels without their diagonals (Szekely and Rizzo)."""
    n = len(x)
    centred = []
    for vectors in (x.astype(np.float64), y.astype(np.float64)):
        kernel = vectors @ vectors.T
        np.fill_diagonal(kernel, 0)
        sums, total = kernel.sum(axis=0), kernel.sum()
        kernel = kernel - sums[:, None] / (n - 2) - sums / (n - 2) + total / ((n - 1) * (n - 2))
        np.fill_diagonal(kernel, 0)
        centred.append(kernel)
    products = [
        np.sum(a * b) for a, b in ((0, 1), (0, 0), (1, 1)) for a, b in [(centred[a], centred[b])]
    ]
    return products[0] / np.sqrt(products[1] * products[2])


def vectors(rows: int, widths: tuple[int, int], seed: int, shift: float = 0) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, widths[0])) + shift
    y = x @ generator.standard_normal(widths) + 2 * generator.standard_normal((rows, widths[1]))
    return x.astype(np.float32), y.astype(np.float32)


@settings(max_examples=30)
@given(
    rows=st.integers(4, 70),
    widths=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    seed=st.integers(0, 99),
    shift=st.sampled_from([0, 30]),
    chunk=st.sampled_from([1, 2, 4, 512]),
    few=st.sampled_from([0, 2048]),
)
def test_both_estimators(
    rows: int, widths: tuple[int, int], seed: int, shift: float, chunk: int, few: int
) -> None:
    x, y = vectors(rows, widths, seed, shift)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cka, "_CHUNK", chunk)
        patch.setattr(cka, "_FEW", few)
        found = alignment(x, y, seed)
    assert found.biased.value == pytest.approx(biased(x, y), rel=1e-6)
    assert found.debiased.value == pytest.approx(debiased(x, y), rel=1e-6, abs=1e-9)
    assert (found.debiased.low is None) == (rows < 8)


@pytest.mark.parametrize("few", [0, 2048])
def test_more_rows_than_groups_and_wider_than_rows(few: int) -> None:
    x, y = vectors(40, (300, 700), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cka, "_FEW", few)
        found = alignment(x, y, 0)
    assert found.biased.value == pytest.approx(biased(x, y), rel=1e-9)
    assert found.debiased.value == pytest.approx(debiased(x, y), rel=1e-6)


def test_neither_scale_nor_rotation_nor_place_counts() -> None:
    x, _ = vectors(50, (6, 6), 1)
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((6, 6)))[0]
    found = alignment(x, (7 * x @ rotation + 3).astype(np.float32), 0)
    assert found.biased.value == pytest.approx(1, abs=1e-6)
    assert found.debiased.value == pytest.approx(1, abs=1e-6)
    assert found.debiased.low == pytest.approx(1, abs=1e-5)
    turned = alignment(vectors(50, (6, 4), 3)[1], x, 0)
    back = alignment(x, vectors(50, (6, 4), 3)[1], 0)
    assert turned.debiased.value == pytest.approx(back.debiased.value, rel=1e-12)


def test_what_is_unrelated_is_zero_when_debiased_alone() -> None:
    generator = np.random.default_rng(0)
    x, y = (generator.standard_normal((60, 900)).astype(np.float32) for _ in range(2))
    found = alignment(x, y, 0)
    assert found.biased.value is not None and found.debiased.value is not None
    assert found.biased.value > 0.9
    assert abs(found.debiased.value) < 0.03


def test_values_as_large_as_floats_are() -> None:
    x, y = vectors(40, (5, 4), 0)
    found = alignment(x * np.float32(3e37), y, 0)
    assert found.debiased.value == pytest.approx(debiased(x, y), rel=1e-4)


def test_what_has_no_alignment() -> None:
    x, y = vectors(12, (5, 4), 0)
    constant = np.ones((12, 3), np.float32)
    assert alignment(x, constant, 0).biased.value is None
    assert alignment(x, constant, 0).debiased.value is None
    assert alignment(x[:3], y[:3], 0).debiased.value is None
    assert alignment(x[:3], y[:3], 0).biased.value == pytest.approx(biased(x[:3], y[:3]), rel=1e-6)
    assert alignment(x[:1], y[:1], 0).biased.value is None


def test_the_interval_is_that_of_halves_of_the_rows() -> None:
    x, y = vectors(30, (4, 3), 5)
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(2000):
        rows = generator.permutation(30)[:15]
        drawn.append(debiased(x[rows], y[rows]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    found = [alignment(x, y, seed).debiased for seed in range(8)]
    assert np.mean([one.low or 0 for one in found]) == pytest.approx(low, abs=0.03)
    assert np.mean([one.high or 0 for one in found]) == pytest.approx(high, abs=0.03)
    assert alignment(x, y, 0) == alignment(x, y, 0) != alignment(x, y, 1)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    mixing = generator.standard_normal((4, 3))
    # Of all rows that there could be: X is standard normal, Y = X A + noise of variance 4.
    of_y = mixing.T @ mixing + 4 * np.eye(3)
    truth = np.sum(mixing**2) / (2 * np.linalg.norm(of_y))
    held = 0
    for seed in range(30):
        x = generator.standard_normal((120, 4))
        y = x @ mixing + 2 * generator.standard_normal((120, 3))
        found = alignment(x.astype(np.float32), y.astype(np.float32), seed).debiased
        assert found.low is not None and found.high is not None
        held += bool(found.low <= truth <= found.high)
    assert 25 <= held <= 30
