"""Tasks in threads: all of them, in order, and good order when one fails or nobody waits."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from conversion.threads import Pause, Stopped, run_threads


class Fault(BaseException):
    """What nobody expects."""


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_the_order_of_the_tasks(threads: int) -> None:
    gate = threading.Barrier(min(threads, 5))
    going: list[int] = []
    most = 0
    lock = threading.Lock()

    def task(number: int) -> int:
        nonlocal most
        with lock:
            going.append(number)
            most = max(most, len(going))
        if number < threads:
            gate.wait(10)  # as many as there are threads are at work at a time
        with lock:
            going.remove(number)
        return number * number

    tasks = [partial(task, number) for number in range(5)]
    assert list(run_threads(tasks, threads, Pause())) == [0, 1, 4, 9, 16]
    assert most == min(threads, 5)
    assert list(run_threads([], threads, Pause())) == []


@pytest.mark.parametrize("error", [ValueError, OSError, Fault])
def test_an_error_is_raised_at_once_and_stops_the_others(error: type[BaseException]) -> None:
    pause = Pause()
    stopped, began = threading.Event(), threading.Event()

    def waits() -> None:
        began.set()
        try:
            pause(600)
        except Stopped:
            stopped.set()
            raise

    def fails() -> None:
        began.wait(10)
        raise error("it")

    never: list[bool] = []
    tasks: list[Callable[[], None]] = [waits, fails, lambda: never.append(True)]
    with pytest.raises(error, match="it"):
        list(run_threads(tasks, 2, pause))
    assert stopped.wait(10)
    assert never == []
    with pytest.raises(Stopped):
        pause()


def test_whoever_leaves_stops_what_goes_on() -> None:
    pause = Pause()
    stopped = threading.Event()

    def waits() -> None:
        try:
            pause(600)
        finally:
            stopped.set()

    results = run_threads([lambda: None, waits], 2, pause)
    assert next(results) is None
    results.close()
    assert stopped.wait(10)


def test_what_is_stuck_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversion.threads._PATIENCE_SECONDS", 0.01)
    pause = Pause()
    free, told = threading.Event(), threading.Event()

    def stuck() -> None:
        free.wait(60)
        try:
            pause()
        except Stopped:
            told.set()
            raise

    with pytest.raises(ZeroDivisionError):
        list(run_threads([stuck, lambda: 1 // 0], 2, pause))
    assert not told.is_set()
    free.set()
    assert told.wait(10)
