"""A stream's order: measured against a full shuffle, and the same forever."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.streaming import in_record_batches, names, streamed, write_indexed

from experiments.feeding.stream.units import Units


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8,000 rows in 400 record batches of four shards; never written to."""
    folder = tmp_path_factory.mktemp("many") / "avmit"
    return write_indexed(folder, [(0, 0)] * 8000, count=4, batch_rows=20)


def numbers_of(stream: Any) -> Any:
    return np.array([row["r3"] for row in stream])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_are_as_far_from_their_place_as_in_a_full_shuffle(many: Path, seed: int) -> None:
    """Which is a third of the epoch on average, from one epoch to the next as well."""
    stream = streamed(many, columns=["r3"], shuffle=True, seed=seed)
    first, second = numbers_of(stream), numbers_of(stream)
    count = len(first)
    assert sorted(first) == sorted(second) == list(range(count))
    assert np.abs(first - np.arange(count)).mean() == pytest.approx(count / 3, rel=0.05)
    places = np.argsort(first), np.argsort(second)
    assert np.abs(places[0] - places[1]).mean() == pytest.approx(count / 3, rel=0.05)
    spread = np.abs(np.corrcoef(first, np.arange(count))[0, 1])
    assert spread < 0.1


@pytest.mark.parametrize(("window", "most"), [(1, 1.0), (8, 1 / 7), (32, 1 / 20)])
def test_neighbours_are_seldom_of_one_record_batch(many: Path, window: int, most: float) -> None:
    """One in `window` on average, where a full shuffle leaves one in 400."""
    found = numbers_of(streamed(many, columns=["r3"], shuffle=True, window=window))
    shares = (np.diff(found // 20) == 0).mean()
    assert 0.75 / window < shares <= most
    assert (np.abs(np.diff(found)) == 1).mean() <= (0.11 if window == 1 else 0.02)


def test_labels_of_a_sorted_package_are_mixed(many: Path) -> None:
    """Each stretch of 500 rows has some of every quarter of the package."""
    found = numbers_of(streamed(many, columns=["r3"], shuffle=True))
    for start in range(0, 8000, 500):
        quarters = np.bincount(found[start : start + 500] // 2000, minlength=4)
        assert quarters.min() >= 20


def units(rows: list[int], **options: Any) -> list[tuple[list[int], list[int]]]:
    """Return the record batches and the order of rows of all units of an epoch."""
    at = {"seed": options.pop("seed", 0), "epoch": options.pop("epoch", 0)}
    made = Units(
        np.array(rows),
        options.pop("shuffle", True),
        options.pop("rank", 0),
        options.pop("world_size", 1),
        options.pop("window", 8),
    )
    count = len(made.bounds(**at)) - 1
    found = [made.unit(**at, number=number) for number in range(count)]
    return [(unit.batches.tolist(), unit.order.tolist()) for unit in found]


RECORDED = [
    ([2], [0]),
    ([5, 9], [4, 2, 1, 0, 3]),
    ([7, 3, 0, 6], [3, 1, 4, 6, 2, 0, 5]),
    ([8, 4, 1], [4, 1, 2, 3, 0, 5]),
]
RECORDED_OF_A_RANK = [([5], [2, 1, 0]), ([3, 8], [1, 2, 0])]


def test_an_order_is_the_same_forever() -> None:
    """As recorded: who goes on with a run after an update goes on with the same rows."""
    rows = [2, 3, 1, 2, 2, 3, 1, 2, 1, 2]
    assert units(rows, seed=7, epoch=3, window=4) == RECORDED
    assert units(rows, seed=7, epoch=3, window=4, rank=1, world_size=3) == RECORDED_OF_A_RANK


def test_an_order_differs_by_seed_and_epoch(many: Path) -> None:
    orders = [
        names(streamed(many, columns=["filename"], shuffle=True, seed=seed, epoch=epoch))
        for seed, epoch in [(0, 0), (0, 1), (1, 0), (1, 1)]
    ]
    for number, order in enumerate(orders):
        for other in orders[:number]:
            assert sum(a == b for a, b in zip(order, other, strict=True)) < 20


def test_units_begin_small() -> None:
    """Of 1, 2, 4, ... record batches, so that the first row waits for one."""
    assert [len(batches) for batches, _ in units([3] * 30)] == [1, 2, 4, 8, 8, 7]
    assert [len(batches) for batches, _ in units([3] * 9, window=3)] == [1, 2, 3, 3]
    assert [len(batches) for batches, _ in units([3] * 4, shuffle=False)] == [1] * 4


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 5), max_size=30),
    st.integers(1, 5),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 2**64 - 1),
)
def test_every_row_is_in_one_unit_of_one_rank(
    rows: list[int], world_size: int, window: int, shuffle: bool, seed: int
) -> None:
    options = {"shuffle": shuffle, "window": window, "seed": seed, "world_size": world_size}
    parts = [units(rows, rank=rank, **options) for rank in range(world_size)]
    batches = [number for part in parts for batches, _ in part for number in batches]
    assert sorted(batches) == list(range(len(rows)))
    for part in parts:
        for unit, order in part:
            assert sorted(order) == list(range(sum(rows[number] for number in unit)))
    made = Units(np.array(rows, np.int64), shuffle, 0, world_size, window)
    shares = [sum(len(order) for _, order in part) for part in parts]
    assert made.fewest_rows(seed, 0) == min(shares)
    bounds = made.bounds(seed, 0)
    for row in range(shares[0]):
        number, within, count = made.at(seed, 0, row)
        assert number < count == len(parts[0])
        assert 0 <= within < bounds[number + 1] - bounds[number]
        assert bounds[number] + within == row


def test_rows_of_a_window_come_from_its_record_batches_alone(tmp_path: Path) -> None:
    package = write_indexed(tmp_path / "avmit")
    groups = {n: g for g, group in enumerate(in_record_batches(package)) for n in group}
    order = [groups[n] for n in names(streamed(package, shuffle=True, window=4, seed=9))]
    assert len(order) == 53
    seen = list(dict.fromkeys(order))
    assert len(seen) == 18
    spans = [len(order) - order[::-1].index(group) - order.index(group) for group in seen]
    assert max(spans) <= 4 * 3
