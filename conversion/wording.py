"""Put names, sizes and lists into words, and read sizes as people write them."""

import re
import unicodedata
from collections.abc import Sequence

from conversion import ground

_MOST_NAMED = 3
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control, format, lone surrogate, line and paragraph separator."""

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def printable(text: str) -> str:
    """Return others' text on one line, with what a terminal would obey written out, as `\\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if character != "\t" and unicodedata.category(character) in _OBEYED
        else character
        for character in text
    )


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or else its kind."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def some(items: Sequence[str]) -> str:
    """Join the first few items and count the others: `a; b; c; and 4 more`."""
    named = list(items[:_MOST_NAMED])
    more = len(items) - len(named)
    return "; ".join([*named, f"and {more:,} more"] if more else named)


def count_of(count: int, one: str, more: str = "") -> str:
    """Return a number with its noun, such as `1 run` and `2,000 runs`; `more` is its plural."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def format_bytes(size: float) -> str:
    """Return a size with three significant digits in decimal units, such as `3.21 GB`."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        shown = f"{size:.3g}"
        if float(shown) < 1000:  # 999.9 shows as 1000, which is one of the next unit
            return f"{shown} {unit}"
        size /= 1000
    return f"{size * 1000:,.0f} PB"


def parse_size(text: str, least: int = 1) -> int:
    """Return the number of bytes that a size such as `256MB` or `1GiB` means.

    Raises:
        AvmitError: it is not a size, or less than `least` bytes.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)\s*", text)
    try:
        if match is None:
            raise ValueError
        size = int(float(match[1]) * _UNITS[match[2].upper()])
        if size < 1:
            raise ValueError
    except (ValueError, KeyError, OverflowError):
        raise ground.AvmitError(f"'{text}' is not a size: write one such as 256MB or 1GB") from None
    if size < least:
        raise ground.AvmitError(
            f"'{text}' is less than {format_bytes(least)}: write one such as 256MB"
        )
    return size
