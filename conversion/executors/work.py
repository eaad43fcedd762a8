"""What an engine gets to do: a command line, and the shards of it that are missing."""

import hashlib
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Work:
    """A command of avmit's that takes `--shards`, cut into `shards`, counted from 0.

    `arguments` are those after `avmit`, and `finish` those that put the shards together, with paths
    as seen from the folder `cwd`; `label` names the work in `out`. `missing` looks which shards are
    not done, `is_together` whether they have been put together. Tasks get `environment` besides the
    caller's. In `folder`, below `out`, scripts and logs are kept.
    """

    arguments: tuple[str, ...]
    finish: tuple[str, ...]
    out: Path
    label: str
    shards: int
    missing: Callable[[], list[int]]
    is_together: Callable[[], bool]
    folder: Path
    cwd: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name that no other folder's or label's work has."""
        return name_of(self.out, self.label)

    def part(self, which: str) -> tuple[str, ...]:
        """Return the arguments of one part, such as 3/16; `which` stands in them as it is."""
        return (*self.arguments[:1], "--shards", which, *self.arguments[1:])


def name_of(out: Path, label: str) -> str:
    """Return the name of the work of that label in a folder."""
    digest = hashlib.sha256(f"{out.resolve()}\0{label}".encode()).hexdigest()
    return f"avmit-{label}-{digest[:8]}"


def avmit_command() -> str:
    """Return how a shell calls this avmit, whatever is on its PATH."""
    # Without -P a folder called `conversion` beside the user would come first.
    return shlex.join([sys.executable, "-P", "-m", "avmit_cli"])


def ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as `1-3,5`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
