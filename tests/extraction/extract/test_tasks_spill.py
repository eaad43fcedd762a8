"""What several tasks have computed of a shard: read along the way that leads furthest."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extraction.extract import checkpoint
from extraction.extract.tasks.spill import MadeElsewhere, SharedSpill
from extraction.pipeline.embed import Embedded, Outcome

VIDEOS = 20


def spill(folder: Path, token: str, made: bool = False) -> SharedSpill:
    return SharedSpill(folder, token, "d", VIDEOS, lambda: made)


def outcome(number: int) -> Outcome:
    return Embedded(True, {"audio": np.full((1, 2), number, np.float32)}, {"audio": 1})


def numbers(outcomes: list[Outcome]) -> list[int]:
    assert all(isinstance(one, Embedded) for one in outcomes)
    return [int(one.embeddings["audio"][0, 0]) for one in outcomes if isinstance(one, Embedded)]


def work(folder: Path, token: str, steps: list[int]) -> int:
    """Go on from what is there, and keep so many outcomes more, part by part."""
    mine = spill(folder, token)
    done = len(list(mine.read()))
    for step in steps:
        for _ in range(min(step, VIDEOS - done)):
            mine.keep(outcome(done))
            done += 1
        mine.flush()
    return done


@given(
    tasks=st.lists(st.lists(st.integers(1, 5), max_size=4), max_size=5), damaged=st.integers(0, 9)
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_task_goes_on_from_the_furthest(
    tasks: list[list[int]], damaged: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parts") / "shard"
    furthest = 0
    for number, steps in enumerate(tasks):
        furthest = max(furthest, work(folder, f"task-{number}-00000000", steps))
        assert numbers(list(spill(folder, "x").read())) == list(range(furthest))
    parts = sorted(folder.glob("*.spill"))
    if damaged < len(parts):
        parts[damaged].write_bytes(b"")
        found = numbers(list(spill(folder, "x").read()))
        assert found == list(range(len(found)))


def test_two_who_began_together(tmp_path: Path) -> None:
    """One keeps larger parts, the other more of them, and one of those is damaged."""
    one, other = spill(tmp_path / "shard", "one"), spill(tmp_path / "shard", "other")
    for mine, size, count in ((one, 4, 2), (other, 3, 4)):
        for number in range(size * count):
            mine.keep(outcome(number))
            if number % size == size - 1:
                mine.flush()
    read = spill(tmp_path / "shard", "third")
    assert numbers(list(read.read())) == list(range(12))
    (part,) = (tmp_path / "shard").glob("*-0000006.other.spill")
    part.write_bytes(part.read_bytes()[:50])
    assert numbers(list(spill(tmp_path / "shard", "third").read())) == list(range(3))
    (part,) = (tmp_path / "shard").glob("*-0000003.other.spill")
    part.unlink()
    assert numbers(list(spill(tmp_path / "shard", "third").read())) == list(range(8))


def test_a_shard_that_another_has_finished_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    with pytest.raises(MadeElsewhere):
        spill(tmp_path / "shard", "one", made=True).keep(outcome(0))


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    late = spill(tmp_path / "gone" / "shard", "one")
    late.keep(outcome(0))
    late.flush()
    assert not (tmp_path / "gone").exists()
