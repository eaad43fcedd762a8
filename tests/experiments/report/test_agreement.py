"""Fleiss' kappa against a slow, plain reference, for differing numbers of ratings."""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import REFERENCE
from support.releases import csv_rows

from experiments.report.measures.agreement import fleiss_kappa


def plain_kappa(videos: Sequence[Sequence[int]]) -> float:
    """Kappa by counting the pairs of ratings that agree, video by video."""
    rated = [counts for counts in videos if sum(counts) >= 2]
    agreeing, shares = 0.0, [0.0] * len(rated[0])
    for counts in rated:
        ratings = [value for value, count in enumerate(counts) for _ in range(count)]
        pairs = list(combinations(ratings, 2))
        agreeing += sum(a == b for a, b in pairs) / len(pairs) / len(rated)
        for value in ratings:
            shares[value] += 1 / len(ratings) / len(rated)
    chance = sum(share**2 for share in shares)
    return (agreeing - chance) / (1 - chance)


counts = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30)


@given(counts)
def test_any_counts(videos: list[tuple[int, ...]]) -> None:
    found = fleiss_kappa(np.array(videos))
    rated = [video for video in videos if sum(video) >= 2]
    assert found.videos == len(rated)
    values = {value for video in rated for value in range(3) if video[value]}
    if len(rated) < 2 or len(values) < 2:
        assert math.isnan(found.kappa)
    else:
        assert found.kappa == pytest.approx(plain_kappa(videos), abs=1e-9)
        assert found.low <= found.kappa <= found.high <= 1


def test_the_example_of_fleiss() -> None:
    """Ten subjects, fourteen raters, five categories; kappa 0.210 as is published of it."""
    table = [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
    assert round(fleiss_kappa(np.array(table)).kappa, 3) == 0.210


def test_the_interval_is_that_of_leaving_one_out() -> None:
    generator = np.random.default_rng(0)
    table = np.stack(
        [generator.multinomial(3 + n % 5, generator.dirichlet([0.6] * 3)) for n in range(200)]
    )
    found = fleiss_kappa(table)
    left = [plain_kappa(np.delete(table, n, axis=0).tolist()) for n in range(200)]
    error = math.sqrt(199 / 200 * sum((one - np.mean(left)) ** 2 for one in left))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.03)


def test_the_released_ratings() -> None:
    path = REFERENCE / "annotations" / "video_ratings.csv"
    if not path.is_file():
        pytest.skip("no reference tree at ../shared/reference or AVMIT_REFERENCE")
    rows = csv_rows(path)
    for label in ("barking", "frying"):
        table = [
            [int(row[name]) for name in ("r1", "r2", "r3")]
            for row in rows
            if row["AVMIT_label"] == label
        ]
        found = fleiss_kappa(np.array(table))
        assert found.kappa == pytest.approx(plain_kappa(table), abs=1e-12)
        assert found.low < found.kappa < found.high
