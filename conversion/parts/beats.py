"""What the files of tasks say: read from a disk that anybody may write to."""

import json
import math
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion.package.workspace import has_ended
from conversion.parts.heartbeat import BEAT_SECONDS
from conversion.parts.place import PlanFolder
from conversion.whole import read_regular

SILENT_SECONDS = 180.0
"""A task of which nothing is heard for so long is lost: what another host writes may be seen a
minute late."""

_ODD = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What JSON of another shape raises."""

_MOST_BYTES = 1_000_000  # of a file
_LONGEST = 2_000  # characters of a text
_MOST_IDS = 20


@dataclass(frozen=True)
class Beat:
    """What a task said last, `age` seconds ago; times in seconds, `seconds` at its shard so far.

    `failed` has by shard what it failed of.
    """

    host: str
    pid: int
    ids: dict[str, str]
    shard: str | None
    since: float | None
    seconds: float
    done: int
    of: int
    failed: dict[str, str]
    said: float
    age: float

    @property
    def lost(self) -> bool:
        """Whether the task has ended without saying so."""
        ended = self.host == socket.gethostname() and has_ended(self.pid)
        return self.age > SILENT_SECONDS or (ended and self.age > 2 * BEAT_SECONDS)

    @property
    def where(self) -> str:
        """The host and process, and the engine's number if it has one."""
        task = self.ids.get("slurm_task")
        job = self.ids.get("slurm_array") or self.ids.get("slurm_job") or self.ids.get("ray_job")
        engine = f", job {job}{'_' + task if task else ''}" if job else ""
        return f"{self.host}, process {self.pid}{engine}"


def read_beats(folder: PlanFolder) -> list[Beat]:
    """Return what the tasks of a plan say, the earliest first; files that are none are left out."""
    return sorted(_beats(folder.tasks), key=lambda beat: -beat.age)


def _beats(tasks: Path) -> Iterator[Beat]:
    found: list[Path] = []
    with suppress(OSError):
        found = [path for path in tasks.iterdir() if path.suffix == ".json"]
    for path in found:
        with suppress(OSError, *_ODD):
            yield _beat(json.loads(read_regular(path, _MOST_BYTES)), path.stat().st_mtime)


def _beat(said: Any, changed: float) -> Beat:
    now = _time(said["now"])
    since = None if said["since"] is None else _time(said["since"])
    # Clocks differ: the task's own, or that of the disk, may be the better one.
    age = max(0.0, min(abs(time.time() - now), abs(time.time() - changed)))
    return Beat(
        host=_text(said["host"]),
        pid=_count(said["pid"]),
        ids={_text(name): _text(one) for name, one in list(said["ids"].items())[:_MOST_IDS]},
        shard=None if said["shard"] is None else _text(said["shard"]),
        since=since,
        seconds=0.0 if since is None else max(0.0, now - since),
        done=_count(said["done"]),
        of=_count(said["of"]),
        failed={_text(shard): _text(lines) for shard, lines in said["failed"].items()},
        said=now,
        age=age,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:_LONGEST]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise TypeError
    return value


def _time(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value < 2**40:
        raise TypeError
    return float(value)
