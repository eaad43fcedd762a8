"""Which shards of a plan a task makes: `3/16` is part 3 of the 16 that they are dealt into."""

import re
from dataclasses import dataclass

from conversion import ground

_MOST_PARTS = 1_000_000
_FORM = re.compile(r"(?P<parts>\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*)/(?P<of>\d{1,7})", re.ASCII)


@dataclass(frozen=True)
class Selection:
    """Some of `of` parts, counted from 0; the shard number s is in part s mod `of`."""

    parts: frozenset[int]
    of: int

    def numbers(self, shards: int) -> list[int]:
        """Return which of so many shards are in these parts, in order."""
        return [number for number in range(shards) if number % self.of in self.parts]


def parse_selection(text: str) -> Selection:
    """Return what `3/16`, or `2,5-7/16`, selects.

    Raises:
        AvmitError: it is no such text, or there is no such part.
    """
    match = _FORM.fullmatch(text.strip())
    of = int(match["of"]) if match else 0
    if match is None or not 0 < of <= _MOST_PARTS:
        raise ground.AvmitError(
            f"--shards {text}: write PART/PARTS, such as 3/16, or 2,5-7/16 for several parts"
        )
    parts: set[int] = set()
    for piece in match["parts"].split(","):
        first, _, last = piece.partition("-")
        start, end = int(first), int(last or first)
        if end >= of or start > end:
            raise ground.AvmitError(
                f"--shards {text}: there is no part {piece}; of {of:,} parts the first is 0 and "
                f"the last {of - 1:,}"
            )
        parts.update(range(start, end + 1))
    return Selection(frozenset(parts), of)
