"""Run code that is not ours: encoder modules, packages' entry points, and encoders themselves."""

import os
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avmit import AvmitError
from conversion.wording import first_line, printable

_LIBRARIES = (
    f"{Path(__file__).parents[1]}{os.sep}",  # this package
    *(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib")),
)


@contextmanager
def no_exit(what: str) -> Iterator[None]:
    """Let `sys.exit()`, which would end the command as if all were done, be an error.

    Raises:
        AvmitError: the block calls it.
    """
    try:
        yield
    except SystemExit as stop:
        raise AvmitError(
            f"{what} ends the program by sys.exit({stop.code!r}): take that out of its code"
        ) from stop


def explain(error: BaseException) -> str:
    """Say what was raised and where, on one line: `KeyError: 'oh' in line 3 of mine.py`."""
    said = printable(f"{type(error).__name__}: {first_line(error)}")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*_LIBRARIES, "<")):
            return f"{said} in line {frame.lineno} of {Path(frame.filename).name}"
    return said
