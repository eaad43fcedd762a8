"""Run tasks in threads that all stop, in good order, when one fails or nobody waits any more."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

_Result = TypeVar("_Result")

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 2.0


class Stopped(Exception):
    """Raised inside a task when the run is being given up."""


class Pause:
    """Waits as `time.sleep` does, but no longer than the run lasts.

    A task calls it, with 0 too, wherever it could stop, and before it changes anything.

    Raises:
        Stopped: the run is being given up.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()

    def __call__(self, seconds: float = 0) -> None:
        """Wait."""
        if self._stop.wait(seconds):
            raise Stopped

    def end(self) -> None:
        """Let all that wait, and all that come, stop."""
        self._stop.set()


def run_threads(
    tasks: Sequence[Callable[[], _Result]], threads: int, pause: Pause
) -> Generator[_Result, None, None]:
    """Yield what the tasks return, in their order, while up to `threads` of them run at a time.

    They are begun in their order. What one raises is raised here at once. When the iteration ends,
    by an exception or Ctrl-C too, `pause` stops the others; one that is stuck in a call to the
    system is left behind, and stops at its next `pause`.
    """
    todo = deque(enumerate(tasks))
    results: dict[int, _Result] = {}
    errors: list[BaseException] = []
    changed = threading.Condition()

    def work() -> None:
        while True:
            try:
                pause()
                with changed:
                    if not todo:
                        return
                    number, task = todo.popleft()
                result = task()
            except Stopped:
                return
            except BaseException as error:
                with changed:
                    errors.append(error)
                    changed.notify()
                return
            with changed:
                results[number] = result
                changed.notify()

    running = [threading.Thread(target=work, daemon=True) for _ in range(min(threads, len(tasks)))]
    try:
        for thread in running:
            thread.start()
        for number in range(len(tasks)):
            with changed:
                while number not in results and not errors:
                    changed.wait(_POLL_SECONDS)  # a wait without an end hears no Ctrl-C everywhere
                if errors:
                    raise errors[0]
                result = results.pop(number)
            yield result
    finally:
        pause.end()
        until = time.monotonic() + _PATIENCE_SECONDS
        for thread in running:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
