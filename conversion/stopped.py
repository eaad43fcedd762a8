"""Ctrl-C and SIGTERM, under a name that typer does not catch on its way to the door."""

from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """The command is to end; its text, if it has one, is what the door says of that."""


@contextmanager
def saying(line: str) -> Iterator[None]:
    """Let what stops this block be told with a line of its own."""
    try:
        yield
    except Stopped:
        raise Stopped(line) from None
