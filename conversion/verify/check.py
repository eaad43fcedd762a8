"""What a verification says: one Check for each thing looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from conversion.wording import some


@dataclass(frozen=True)
class Check:
    """What was looked at (`name`), in which config, shard or file (`where`), and what was `found`.

    `ok` tells whether it is as it must be.
    """

    name: str
    where: str
    ok: bool
    found: str


def judged(name: str, where: str, problems: Sequence[str], otherwise: str) -> Check:
    """Return a Check that fails with `problems`, or holds with the finding `otherwise`."""
    return Check(name, where, not problems, some(problems) if problems else otherwise)
