"""The shards of plans as work for an engine, and what Slurm says of those that wait."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from conversion import ground
from conversion.executors.slurm import jobs_in
from conversion.executors.work import Work
from conversion.package.workspace import WORK
from conversion.parts.finished import read_finished
from conversion.parts.jobs import Queued
from conversion.parts.place import PlanFolder
from conversion.parts.plan import Plan

_AND = "+"  # between the configs of a label; none has it in its name


def work_of(
    out: Path, plans: Sequence[Plan], arguments: Sequence[str], environment: Mapping[str, str]
) -> Work:
    """Return the work of making all shards of plans, numbered through, by that command."""
    folders = [PlanFolder(out, plan.config) for plan in plans]

    def missing() -> list[int]:
        found, first = [], 0
        for folder, plan in zip(folders, plans, strict=True):
            if folder.exists():  # else it has been put together
                numbers = range(len(plan.shards))
                found += [first + n for n in numbers if read_finished(folder, plan, n) is None]
            first += len(plan.shards)
        return found

    label = _AND.join(plan.config for plan in plans)
    return Work(
        arguments=tuple(arguments),
        finish=("finish", *(f"--config={plan.config}" for plan in plans), "--", str(out)),
        out=out,
        label=label,
        shards=sum(len(plan.shards) for plan in plans),
        missing=missing,
        is_together=lambda: not any(folder.exists() for folder in folders),
        folder=out / WORK / f"{label}.slurm",
        environment=environment,
    )


def ask_slurm(folder: PlanFolder) -> Queued:
    """Return which shards of a plan are in Slurm's queue; none where there is no Slurm to ask."""
    if shutil.which("squeue") is None:
        return {}
    found = {}
    try:
        for job in jobs_in(folder.out):
            configs = job.label.split(_AND)
            if folder.config not in configs or not job.shards:
                continue
            before = configs[: configs.index(folder.config)]
            plans = [PlanFolder(folder.out, config).read() for config in before]
            first = sum(len(plan.shards) for plan in plans if plan is not None)
            for number in job.shards:
                found[number - first] = f"job {job.job} {job.state.lower()}"
    except ground.AvmitError:
        return {}
    return found
