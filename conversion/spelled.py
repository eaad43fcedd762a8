"""Messages that name what was asked for as it is written: an argument in Python, an option at the
command line.

What both can come to raises `AvmitError(spelled("leave them out with ", argument("missing",
"skip")))`: its text says `missing='skip'`, and the command shows it with `--missing skip`.
"""

import shlex
from dataclasses import dataclass
from typing import Any

_ALONE = object()


@dataclass(frozen=True)
class Spelled:
    """A text in two spellings; as a string it is Python's."""

    python: str
    option: str

    def __str__(self) -> str:
        return self.python


def argument(name: str, value: Any = _ALONE) -> Spelled:
    """Return an argument with its value, as `missing='skip'` and `--missing skip`, or without one,
    as `missing=` and `--missing`."""
    option = f"--{name.replace('_', '-')}"
    if value is _ALONE:
        return Spelled(f"{name}=", option)
    if value is True:
        return Spelled(f"{name}=True", option)
    return Spelled(f"{name}={value!r}", f"{option} {shlex.quote(str(value))}")


def spelled(*pieces: str | Spelled) -> Spelled:
    """Join pieces to one text. In an f-string they would be spelled as in Python."""
    both = [Spelled(piece, piece) if isinstance(piece, str) else piece for piece in pieces]
    return Spelled("".join(p.python for p in both), "".join(p.option for p in both))


def at_command_line(error: Exception) -> str:
    """Return what an error says, with options in place of arguments."""
    text = error.args[0] if error.args else ""
    return text.option if isinstance(text, Spelled) else str(error)
