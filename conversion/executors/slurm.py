"""Submit work to Slurm, and look what of it is in the queue: by squeue, without accounting."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from conversion import ground
from conversion.executors.slurm_options import SlurmOptions
from conversion.executors.slurm_script import array_script, finish_script
from conversion.executors.work import Work, name_of, ranges
from conversion.whole import write_whole
from conversion.wording import count_of

_NAME = re.compile(
    r"(?P<name>avmit-(?P<label>.+)-[0-9a-f]{8})-(finish|(?P<of>\d+)x(?P<tasks>[1-9]\d*))", re.ASCII
)
_ARRAY, _FINISH = "array.sh", "finish.sh"
_WAIT_SECONDS = 120  # for an answer of Slurm's, which a busy one gives late
_ANY_SIZE = 1001  # Slurm's own default of MaxArraySize


@dataclass(frozen=True)
class Queued:
    """A job in the queue for the work of a label, and the `shards`, of `of`, that it is to do.

    The job that puts them together has none.
    """

    job: str
    state: str
    label: str
    shards: tuple[int, ...] = ()
    of: int = 0


@dataclass(frozen=True)
class Submission:
    """What is to be, or was, given to Slurm: the shards, and scripts by the files they go into.

    `job` and `finish` are the numbers of the array and the job that ends it, once there are any;
    `refusal` says why there is no such job.
    """

    shards: tuple[int, ...]
    tasks: tuple[int, ...]
    queued: tuple[Queued, ...]
    scripts: dict[Path, str]
    job: str | None = None
    finish: str | None = None
    refusal: str = ""


def prepare(work: Work, options: SlurmOptions, *, there: bool = True) -> Submission:
    """Return what is to be submitted: what is missing and not in the queue.

    `there` is False to see the scripts where there is no Slurm.

    Raises:
        AvmitError: there is no Slurm, or jobs of another cut are in the queue.
    """
    if there:
        check_there()
    of = _dealt_to(work, options, _most_tasks() if there else _ANY_SIZE)
    queued = in_queue(work) if there else []
    taken = {shard for job in queued for shard in job.shards}
    shards = [shard for shard in work.missing() if shard not in taken]
    tasks = sorted({shard % of for shard in shards})
    scripts = {}
    if tasks:
        scripts[work.folder / _ARRAY] = array_script(work, options, tasks, of)
    if tasks or not queued:
        scripts[work.folder / _FINISH] = finish_script(work, options)
    return Submission(tuple(shards), tuple(tasks), tuple(queued), scripts)


def write(submission: Submission) -> None:
    """Write the scripts of a submission into their folder, where Slurm writes logs, too."""
    for path, text in submission.scripts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())


def submit(work: Work, submission: Submission) -> Submission:
    """Write the scripts of a submission, and give them to Slurm.

    The job that ends it waits for the arrays that are in the queue already, too, and takes the
    place of one that waits for those alone.

    Raises:
        AvmitError: Slurm refuses it.
    """
    write(submission)
    array, finish = work.folder / _ARRAY, work.folder / _FINISH
    job = _sbatch(array) if array in submission.scripts else None
    last, refusal = None, ""
    if finish in submission.scripts:
        before = {one.job.partition("_")[0] for one in submission.queued if one.shards}
        waiting = sorted({*before, *([job] if job else [])}, key=int)
        for one in submission.queued:
            if not one.shards and one.state == "PENDING":
                _call("scancel", one.job)
        after = [f"--dependency=afterany:{':'.join(waiting)}"] if waiting else []
        try:
            last = _sbatch(finish, *after)
        except ground.AvmitError as error:  # a partition may take jobs with GPUs alone
            if job is None:
                raise
            refusal = str(error)
    return replace(submission, job=job, finish=last, refusal=refusal)


def commands(submission: Submission) -> list[str]:
    """Return the commands that would submit the scripts; ARRAY stands for the array's number."""
    after = "--dependency=afterany:ARRAY " if submission.tasks else ""
    paths = list(submission.scripts)
    return [f"sbatch {after if path.name == _FINISH else ''}{path}" for path in paths]


def in_queue(work: Work) -> list[Queued]:
    """Return the jobs of the work that wait or run.

    Raises:
        AvmitError: squeue does not answer, or they are of another cut of the work.
    """
    found = [job for job in jobs_in(work.out) if job.label == work.label]
    if any(job.of not in (0, work.shards) for job in found):
        raise ground.AvmitError(
            f"jobs of an earlier run of '{work.label}' with other options are in the queue: wait "
            f"for them, or end them with `scancel {' '.join(job.job for job in found)}`"
        )
    return found


def jobs_in(out: Path) -> list[Queued]:
    """Return the jobs of any work in a folder that wait or run.

    Raises:
        AvmitError: squeue does not answer.
    """
    found = []
    fields = ("--noheader", "--array", f"--user={os.getuid()}", "--format=%i|%T|%K|%j")
    for line in _call("squeue", *fields).splitlines():
        job, state, index, name = line.strip().split("|", 3)
        match = _NAME.fullmatch(name)
        if match is None or match["name"] != name_of(out, match["label"]):
            continue
        if match["of"] is None:
            found.append(Queued(job, state, match["label"]))
        elif index.isdecimal():
            of = int(match["of"])
            shards = range(int(index), of, int(match["tasks"]))
            found.append(Queued(job, state, match["label"], tuple(shards), of))
    return found


def describe(work: Work, submission: Submission) -> list[str]:
    """Tell what was submitted, and how to look at it."""
    lines = []
    waiting = sum(len(one.shards) for one in submission.queued)
    if submission.job:
        tasks = len(submission.tasks)
        lines.append(
            f"{work.label}: submitted job {submission.job} with {count_of(tasks, 'task')} for "
            f"{count_of(len(submission.shards), 'shard')} ({ranges(submission.shards)} of "
            f"{work.shards})"
        )
    if waiting:
        lines.append(f"{work.label}: {count_of(waiting, 'shard')} in the queue already")
    if not submission.shards and not waiting:
        lines.append(f"{work.label}: no shard is missing")
    if submission.finish:
        lines.append(f"  job {submission.finish} puts them together when they have ended")
    if submission.refusal:
        lines.append(f"  {submission.refusal}")
        lines.append(f"  so when it has ended, run `avmit {shlex.join(work.finish)}`")
    return [*lines, f"  look with `avmit jobs {work.out}`; logs are in {work.folder}"]


def _dealt_to(work: Work, options: SlurmOptions, most: int) -> int:
    """Return to how many tasks the shards are dealt; no index may be beyond the cluster's most."""
    return min(-(-work.shards // options.per_task), most)


def _most_tasks() -> int:
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _call("scontrol", "show", "config"), re.M)
    return max(1, int(found[1])) if found else _ANY_SIZE


def check_there() -> None:
    """Refuse a machine that cannot submit jobs.

    Raises:
        AvmitError: there is no Slurm.
    """
    if shutil.which("sbatch") is None:
        raise ground.AvmitError(
            "no sbatch here: run this where jobs are submitted to Slurm, see the script with "
            "--dry-run, or compute shards by --shards 0/16 and so on"
        )


def _sbatch(script: Path, *options: str) -> str:
    return _call("sbatch", "--parsable", *options, str(script)).strip().partition(";")[0]


def _call(*command: str) -> str:
    """Run one of Slurm's programs and return what it prints.

    Raises:
        AvmitError: it fails.
    """
    environment = _environment()
    try:
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_WAIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ground.AvmitError(
            f"{command[0]} does not answer ({error}): try again later"
        ) from error
    if ran.returncode:
        said = "; ".join(_plain(ran.stderr)) or f"exit code {ran.returncode}"
        raise ground.AvmitError(
            f"{command[0]} failed ({said}): mend the --slurm options, or try again"
        )
    return ran.stdout


def _plain(stderr: str) -> Sequence[str]:
    return [line.partition("error: ")[2] or line for line in stderr.splitlines() if line.strip()]


def _environment() -> dict[str, str]:
    """Leave out what Slurm told the job that this may run in, which its jobs would inherit."""
    kept = ("SLURM_CONF", "SLURM_CLUSTERS")
    found = os.environ.items()
    return {name: v for name, v in found if name in kept or not name.startswith("SLURM_")}
