"""Ctrl-C and SIGTERM, under a name that typer does not catch on its way to the door."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(BaseException):
    """The command is to end; its text, if it has one, is what the door says of that."""


@contextmanager
def saying(line: str) -> Iterator[None]:
    """Let what stops this block be told with a line of its own."""
    try:
        yield
    except Stopped:
        raise Stopped(line) from None


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until this block ends, which is to be short.

    What they raise would otherwise leave locks of `concurrent.futures` held for ever, for which its
    threads then wait. Elsewhere than in the main thread, where none is raised, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, Any]] = []
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    for number in handlers:
        signal.signal(number, lambda *what: came.append(what))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for came_as, frame in came[:1]:
            handlers[signal.Signals(came_as)](came_as, frame)
