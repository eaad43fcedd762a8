"""What a verification says: one Check for each thing looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_NAMED = 3


@dataclass(frozen=True)
class Check:
    """What was looked at (`name`), in which config, shard or file (`where`), and what was `found`.

    `ok` tells whether it is as it must be.
    """

    name: str
    where: str
    ok: bool
    found: str


def some(items: Sequence[str]) -> str:
    """Join the first few items and count the others: `a; b; c; and 4 more`."""
    named = list(items[:_MOST_NAMED])
    more = len(items) - len(named)
    return "; ".join([*named, f"and {more:,} more"] if more else named)


def judged(name: str, where: str, problems: Sequence[str], otherwise: str) -> Check:
    """Return a Check that fails with `problems`, or holds with the finding `otherwise`."""
    return Check(name, where, not problems, some(problems) if problems else otherwise)
