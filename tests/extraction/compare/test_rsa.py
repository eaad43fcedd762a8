"""Spearman's correlation of dissimilarities, against SciPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extraction.compare.rsa import agreement, constant, dissimilarities, levels, spearman

stats = pytest.importorskip("scipy.stats")
distance = pytest.importorskip("scipy.spatial.distance")


def plain(x: Any, y: Any) -> Any:
    rdms = [np.round(distance.pdist(v.astype(np.float64), "correlation"), 12) for v in (x, y)]
    return stats.spearmanr(*rdms).statistic


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_ranks_with_ties(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, np.float64).T
    found = spearman(levels(a), levels(b))
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


@settings(max_examples=25)
@given(rows=st.integers(3, 30), copies=st.integers(0, 6), seed=st.integers(0, 99))
def test_rows_and_copies_of_them(rows: int, copies: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, 7)).astype(np.float32)
    y = (x[:, :5] + generator.standard_normal((rows, 5))).astype(np.float32)
    # Copies of a row are as far from any other: ties in both.
    again = generator.integers(0, rows, copies)
    x, y = np.concatenate([x, x[again]]), np.concatenate([y, y[again]])
    found = agreement(x, y, 0)
    assert found.value == pytest.approx(plain(x, y), abs=1e-6)
    assert (found.low is None) == (len(x) < 8)
    if found.low is not None and found.high is not None:
        assert -1 <= found.low <= found.high <= 1


def test_the_interval_is_that_of_halves_of_the_rows() -> None:
    generator = np.random.default_rng(3)
    x = generator.standard_normal((24, 7)).astype(np.float32)
    y = (x[:, :5] + generator.standard_normal((24, 5))).astype(np.float32)
    drawn = []
    for _ in range(1500):
        rows = generator.permutation(24)[:12]
        drawn.append(plain(x[rows], y[rows]))
    found = agreement(x, y, 0)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.06)
    assert found.high == pytest.approx(high, abs=0.06)
    assert agreement(x, y, 0) == found != agreement(x, y, 1)


def test_an_affine_change_of_each_row_does_not_count() -> None:
    x = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    assert agreement(x, 3 * x + 100, 0).value == pytest.approx(1, abs=1e-3)
    assert agreement(x, -x, 0).value == pytest.approx(1, abs=1e-12)


def test_what_has_no_agreement() -> None:
    x = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    assert agreement(x[:2], x[:2], 0).value is None
    same = np.tile(x[:1], (9, 1))
    assert agreement(x, same, 0).value is None
    assert constant(np.array([[1, 1], [0, 1], [0, 0]], np.float32)).tolist() == [True, False, True]
    assert np.isfinite(dissimilarities(x * np.float32(1e38))).all()
