"""Batches made beforehand: no more of them than asked for, and nothing that goes on afterwards."""

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.feeding import CONFIG, SOME, apart, in_memory, videos, write_package

import avmit

THREAD = "avmit-batches"


@pytest.fixture(params=["rows", "stream"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    package = write_package(tmp_path / "avmit", SOME)
    return avmit.load(CONFIG, "train", data_dir=package, streaming=request.param == "stream")


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD)]


@pytest.fixture(autouse=True)
def no_threads_before() -> None:
    gc.collect()
    assert gone()


def gone() -> bool:
    """Wait for threads that were told to end."""
    for thread in threads():
        thread.join(30)
    return not threads()


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_earlier_batches_are_given_up(source: Any, ahead: int) -> None:
    """What the user drops is gone when the next one comes, and nothing else is held than that."""
    earlier: list[weakref.ref[Any]] = []
    for batch in avmit.batches(source, 2, ahead=ahead):
        assert all(array() is None for array in earlier[:-1])
        # `audio` is a view of memory of its own.
        earlier.append(weakref.ref(batch["audio"].base))
        del batch
    assert len(earlier) == 12
    gc.collect()
    assert all(array() is None for array in earlier)


def test_a_batch_that_is_used_no_longer_is_gone_at_once_with_its_iterator(source: Any) -> None:
    coming = iter(avmit.batches(source, 2))
    batch = next(coming)
    array = weakref.ref(batch["audio"].base)
    coming.close()
    assert array() is not None
    del batch, coming
    assert array() is None


@pytest.mark.parametrize("end", ["whole", "close", "drop", "break", "error in the loop"])
def test_the_thread_ends(source: Any, end: str) -> None:
    batches = avmit.batches(source, 2, ahead=2)
    assert not threads()
    if end == "break":
        for _ in batches:
            assert threads()
            break
    elif end == "error in the loop":
        with pytest.raises(ZeroDivisionError):
            for _ in batches:
                1 / 0  # noqa: B018
    else:
        coming = iter(batches)
        assert not threads()
        next(coming)
        assert threads()
        if end == "whole":
            list(coming)
        elif end == "close":
            coming.close()
        else:
            del coming
    assert gone()


def test_the_thread_ends_with_an_error_of_its_own(source: Any) -> None:
    with pytest.raises(avmit.AvmitError):
        list(avmit.batches(source, 2, timesteps=1))
    assert gone()


def test_no_thread_for_none_ahead(source: Any) -> None:
    coming = iter(avmit.batches(source, 2, ahead=0))
    next(coming)
    assert not threads()


def test_an_error_comes_in_its_turn() -> None:
    """After the batches before it, although it was met while those were waiting."""
    ds = in_memory([(1, 1)] * 6 + [(9, 1)] + [(1, 1)] * 3)
    came = []
    with pytest.raises(avmit.AvmitError, match=r"^audio of row 6 has 9 timesteps"):
        for batch in avmit.batches(ds, 2, columns=["filename"], timesteps=2, ahead=3):
            came += videos([batch])
    assert came == [[f"video-{n}.mp4", f"video-{n + 1}.mp4"] for n in (0, 2, 4)]


def test_no_more_is_made_than_was_asked_for() -> None:
    """Rows are looked at in turn: those of the batches after the next two are not yet."""
    ds = in_memory([(1, 1)] * 6 + [(9, 1)] + [(1, 1)] * 3)
    coming = iter(avmit.batches(ds, 1, timesteps=2, ahead=2))
    for _ in range(4):
        next(coming)
    coming.close()  # no error of row 6 is raised, or printed at the end
    assert gone()


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (-1, "ahead=-1: it is a whole number from 0 on"),
        (2.0, "ahead=2.0 is not a whole number"),
        (None, "ahead=None is not a whole number"),
        (True, "ahead=True: it is a whole number from 0 on"),
    ],
)
def test_bad_numbers(ahead: Any, said: str) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.batches(in_memory(SOME), ahead=ahead)
    assert str(error.value) == said


def test_a_number_of_numpy() -> None:
    number: Any = np.int64(1)
    assert len(list(avmit.batches(in_memory(SOME), 10, ahead=number))) == 3


LEAVE = """
import json, sys
import avmit
from support.feeding import SOME, in_memory

coming = iter(avmit.batches(in_memory(SOME), 2))
next(coming)
json.dump("left", sys.stdout)
"""


def test_a_program_may_end_in_the_middle_of_an_epoch() -> None:
    assert apart(LEAVE, PYTHONPATH="tests") == "left"
