"""What became of each shard of a plan: done, running, queued, failed or not started.

Nothing but the shared folder is asked; what an engine knows besides is handed in.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from conversion import ground
from conversion.parts.beats import Beat, read_beats
from conversion.parts.finished import read_finished
from conversion.parts.place import PlanFolder
from conversion.parts.plan import Plan

State = Literal["done", "running", "queued", "failed", "not started"]
STATES: tuple[State, ...] = get_args(State)

Queued = Mapping[int, str]
"""What an engine says of shards that wait, by their numbers, such as `pending: Priority`."""


@dataclass(frozen=True)
class Job:
    """One shard of `of` rows, of which `done` are made; `since` is in seconds of Unix time.

    `lines` are what it failed of.
    """

    number: int
    shard: str
    state: State
    done: int
    of: int
    where: str = ""
    since: float | None = None
    lines: str = ""


@dataclass(frozen=True)
class Jobs:
    """All shards of a plan, in order, and how fast they are made: rows a second, 0 if unknown."""

    config: str
    shards: tuple[Job, ...]
    rate: float

    @property
    def counts(self) -> dict[State, int]:
        """How many shards are in each state."""
        found = Counter(job.state for job in self.shards)
        return {state: found[state] for state in STATES}

    @property
    def done(self) -> int:
        """How many rows are made."""
        return sum(job.done for job in self.shards)

    @property
    def of(self) -> int:
        """How many rows there are to make."""
        return sum(job.of for job in self.shards)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes as fast as now; None where nothing runs."""
        return (self.of - self.done) / self.rate if self.rate else None


def jobs(folder: PlanFolder, queued: Queued = MappingProxyType({})) -> Jobs:
    """Return what became of each shard; of several tasks at one, that which is furthest counts.

    Raises:
        AvmitError: there is no plan, or it cannot be read.
    """
    plan = read_plan(folder)
    running: dict[str, Beat] = {}
    failed: dict[str, tuple[Beat, str]] = {}
    rate = 0.0
    for beat in read_beats(folder):
        for shard, lines in beat.failed.items():
            failed[shard] = beat, lines
        if beat.shard is None:
            continue
        if beat.lost:
            failed[beat.shard] = beat, f"lost after {beat.done:,} of {beat.of:,} videos"
            continue
        rate += beat.done / beat.seconds if beat.seconds else 0.0
        if beat.shard not in running or running[beat.shard].done <= beat.done:
            running[beat.shard] = beat
    found = tuple(
        _job(folder, plan, number, running, failed, queued) for number in range(len(plan.shards))
    )
    return Jobs(plan.config, found, rate)


def read_plan(folder: PlanFolder) -> Plan:
    """Return the plan of a folder.

    Raises:
        AvmitError: there is none, or it cannot be read.
    """
    plan = folder.read()
    if plan is None:
        raise ground.AvmitError(
            f"no plan of '{folder.config}' in {folder.out}: a run with --shards makes one"
        )
    return plan


def _job(
    folder: PlanFolder,
    plan: Plan,
    number: int,
    running: Mapping[str, Beat],
    failed: Mapping[str, tuple[Beat, str]],
    queued: Queued,
) -> Job:
    planned = plan.shards[number]
    name, of = planned.file, planned.rows
    if read_finished(folder, plan, number) is not None:
        return Job(number, name, "done", of, of)
    if (beat := running.get(name)) is not None:
        done = min(beat.done, of)
        return Job(number, name, "running", done, of, beat.where, beat.since)
    if number in queued:
        return Job(number, name, "queued", 0, of, queued[number])
    if name in failed:
        beat, lines = failed[name]
        return Job(number, name, "failed", 0, of, beat.where, beat.said, lines)
    return Job(number, name, "not started", 0, of)
