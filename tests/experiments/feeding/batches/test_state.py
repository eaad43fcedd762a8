"""Where an epoch is, and how one goes on there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feeding import SOME, in_memory, trained, videos

import avmit


def batches_of(**options: Any) -> Any:
    return avmit.batches(in_memory(SOME), 4, columns=("label", "filename"), shuffle=True, **options)


def begun(batches: Any, count: int) -> Any:
    """Take some batches, and leave the rest."""
    coming = iter(batches)
    for _ in range(count):
        next(coming)
    return coming


def same(one: Any, other: Any) -> bool:
    """Compare batches bit for bit."""
    return len(one) == len(other) and all(
        list(a) == list(b)
        and all(
            a[n] == b[n] if isinstance(a[n], list) else a[n].tobytes() == b[n].tobytes() for n in a
        )
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
def test_a_state_counts_what_was_given(ahead: int) -> None:
    """What was made beforehand and nobody took does not count."""
    batches = batches_of(seed=3, epoch=2, ahead=ahead)
    assert batches.state_dict() == {"seed": 3, "epoch": 2, "position": 0}
    for count, _ in enumerate(batches, 1):
        assert batches.state_dict() == {"seed": 3, "epoch": 2, "position": count}
    assert batches.state_dict() == {"seed": 3, "epoch": 3, "position": 0}


@settings(max_examples=40)
@given(st.integers(0, 6), st.integers(0, 2), st.integers(0, 3), st.integers(0, 1), st.booleans())
def test_what_is_left_is_what_would_have_come(
    position: int, epochs: int, ahead: int, rank: int, drop_last: bool
) -> None:
    options: dict[str, Any] = {
        "seed": 7,
        "rank": rank,
        "world_size": 2,
        "drop_last": drop_last,
        "ahead": ahead,
    }
    whole = batches_of(**options)
    for _ in range(epochs):
        list(whole)
    position = min(position, len(whole))
    coming = begun(whole, position)
    state = json.loads(json.dumps(whole.state_dict()))
    assert state == {"seed": 7, "epoch": epochs, "position": position}
    rest = list(coming)
    again = batches_of(**{**options, "seed": 0})
    again.load_state_dict(state)
    assert again.state_dict() == state
    assert same(list(again), rest)
    # And so are the epochs that follow.
    assert same(list(again), list(whole))
    assert again.state_dict() == whole.state_dict()


def test_epochs_follow_each_other() -> None:
    batches = batches_of(seed=5)
    epochs = [videos(batches) for _ in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3
    assert [videos(batches_of(seed=5, epoch=number)) for number in range(3)] == epochs


def test_the_last_epoch_there_can_be() -> None:
    batches = batches_of(epoch=2**64 - 1)
    list(batches)
    assert batches.state_dict() == {"seed": 0, "epoch": 0, "position": 0}
    assert videos(batches) == videos(batches_of())


def test_who_counts_batches_comes_to_the_next_epoch_too() -> None:
    """Without asking for the one after the last, as `model.fit` goes through an epoch."""
    counted, asked = batches_of(), batches_of()
    for _ in range(3):
        coming = iter(counted)
        taken = [next(coming) for _ in range(len(counted))]
        assert videos(taken) == videos(asked)
    assert counted.state_dict() == {"seed": 0, "epoch": 2, "position": 6}


def test_a_state_of_an_epoch_that_was_given_whole() -> None:
    """Its loop goes on with no batch, as it would have, and then with the next epoch."""
    whole = batches_of()
    coming = begun(whole, len(whole))
    state = whole.state_dict()
    assert state == {"seed": 0, "epoch": 0, "position": 6}
    again = batches_of()
    again.load_state_dict(state)
    assert list(again) == list(coming) == []
    assert videos(again) == videos(batches_of(epoch=1))


def test_what_is_left_early_begins_anew() -> None:
    batches = batches_of()
    first = videos(batches_of())
    for _ in batches:
        break
    assert videos(batches) == first
    batches = batches_of(epoch=4)
    batches.load_state_dict({"seed": 0, "epoch": 4, "position": 3})
    for _ in batches:
        break
    assert batches.state_dict() == {"seed": 0, "epoch": 4, "position": 4}
    assert videos(batches) == videos(batches_of(epoch=4))


def test_set_epoch() -> None:
    batches = batches_of(seed=9)
    begun(batches, 2)
    for epoch in (6, np.int64(2), 0):
        batches.set_epoch(epoch)
        assert json.dumps(batches.state_dict()) == json.dumps(
            {"seed": 9, "epoch": int(epoch), "position": 0}
        )
        assert videos(batches) == videos(batches_of(seed=9, epoch=epoch))
    with pytest.raises(avmit.AvmitError) as error:
        batches.set_epoch(-1)
    assert str(error.value) == "epoch=-1: it is a whole number from 0 on"
    with pytest.raises(avmit.AvmitError) as error:
        batches.set_epoch(1.0)
    assert str(error.value) == "epoch=1.0 is not a whole number"


def test_two_iterators_of_one_object() -> None:
    """Each gives its own epoch whole; the state is that of the one that began last."""
    batches = batches_of()
    first = videos(batches_of())
    one = iter(batches)
    given = [next(one), next(one)]
    other = iter(batches)
    assert videos([next(other)]) == first[:1]
    assert batches.state_dict()["position"] == 1
    given += one
    assert videos(given) == first
    assert batches.state_dict() == {"seed": 0, "epoch": 0, "position": 1}
    assert videos(other) == first[1:]
    assert batches.state_dict() == {"seed": 0, "epoch": 1, "position": 0}


def test_an_iterator_does_not_move_what_was_set_meanwhile() -> None:
    batches = batches_of()
    coming = begun(batches, 2)
    batches.set_epoch(5)
    rest = videos(coming)
    assert rest == videos(batches_of())[2:]
    assert batches.state_dict() == {"seed": 0, "epoch": 5, "position": 0}


@pytest.mark.parametrize(
    "state",
    [
        {},
        None,
        [0, 0, 0],
        {"seed": 0, "epoch": 0},
        {"seed": 0, "epoch": 0, "position": 0, "rank": 1},
    ],
)
def test_what_is_no_state(state: Any) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        batches_of().load_state_dict(state)
    assert str(error.value) == "this is not a state: give what state_dict() returned"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": -1}, "seed=-1: it is a whole number from 0 on"),
        ({"epoch": "2"}, "epoch='2' is not a whole number"),
        ({"position": 1.0}, "position=1.0 is not a whole number"),
        ({"position": -3}, "position=-3: it is a whole number from 0 on"),
        ({"position": True}, "position=True: it is a whole number from 0 on"),
        ({"seed": 2**64}, f"seed={2**64}: it is at most {2**64 - 1}, 2**64 - 1"),
        (
            {"position": 7},
            "position=7, and an epoch has 6 batches: the state is of other rows, another "
            "batch_size or another world_size",
        ),
    ],
)
def test_wrong_states(change: dict[str, Any], said: str) -> None:
    batches = batches_of(seed=1)
    begun(batches, 2)
    with pytest.raises(avmit.AvmitError) as error:
        batches.load_state_dict({"seed": 0, "epoch": 0, "position": 0, **change})
    assert str(error.value) == said
    assert batches.state_dict() == {"seed": 1, "epoch": 0, "position": 2}


def test_a_state_of_numbers_of_numpy() -> None:
    batches = batches_of()
    batches.load_state_dict({"seed": np.int64(2), "epoch": np.uint8(1), "position": np.int32(3)})
    assert json.dumps(batches.state_dict()) == '{"seed": 2, "epoch": 1, "position": 3}'


def test_an_error_does_not_end_the_epoch() -> None:
    batches: Any = avmit.batches(in_memory(SOME), 4, columns=["filename"], timesteps=4)
    with pytest.raises(avmit.AvmitError):
        list(batches)
    assert batches.state_dict()["epoch"] == 0


TRAIN = """
import json, sys
from pathlib import Path

import avmit
from support.feeding import SOME, in_memory

state, rank, ahead = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
batches = avmit.batches(
    in_memory(SOME), 3, columns=("label", "filename"), shuffle=True, seed=11, layout=sys.argv[4],
    rank=rank, world_size=2, ahead=ahead,
)
if state.exists():
    batches.load_state_dict(json.loads(state.read_text()))
while batches.state_dict()["epoch"] < 2:
    for batch in batches:
        said = {n: v if isinstance(v, list) else v.tobytes().hex() for n, v in batch.items()}
        print(json.dumps(said), flush=True)
        state.write_text(json.dumps(batches.state_dict()))
        print("done", flush=True)
        input()
"""


@pytest.mark.parametrize(
    ("rank", "ahead", "layout", "kills"), [(0, 2, "padded", [1, 4]), (1, 0, "jagged", [3])]
)
def test_a_run_that_is_killed_goes_on(
    tmp_path: Path, rank: int, ahead: int, layout: str, kills: list[int]
) -> None:
    """Also in the middle of the second epoch; bit for bit what an undisturbed run takes."""
    whole = trained(TRAIN, tmp_path / "whole", rank, ahead, layout)
    assert len(whole) == 8
    taken: list[str] = []
    for count in kills:
        taken += trained(TRAIN, tmp_path / "state", rank, ahead, layout, kill_after=count)
    taken += trained(TRAIN, tmp_path / "state", rank, ahead, layout)
    assert taken == whole


def test_after_the_last_epoch_that_can_be_numbered_comes_the_first() -> None:
    batches = batches_of(epoch=2**64 - 1)
    list(batches)
    assert batches.state_dict()["epoch"] == 0
