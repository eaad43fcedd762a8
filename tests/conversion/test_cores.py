import os

import pytest

from conversion.cores import usable_cores


@pytest.mark.parametrize(
    ("told", "most"), [("", 0), ("1", 1), ("1,2", 1), ("0", 0), ("many", 0), ("100000", 0)]
)
def test_cores(monkeypatch: pytest.MonkeyPatch, told: str, most: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cores() == (most or there)
