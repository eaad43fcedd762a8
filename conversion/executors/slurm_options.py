"""What a user asks of Slurm, and what cannot be asked of it."""

import re
from dataclasses import dataclass

from conversion import ground

_EARLY_SECONDS = 60
"""By how much Slurm may send the signal early, as sbatch's manual says of --signal."""

_OURS = {
    *("array", "a", "job-name", "J", "output", "o", "error", "e", "open-mode", "requeue"),
    *("no-requeue", "signal", "chdir", "D", "dependency", "d", "parsable", "wrap", "wait", "W"),
    *("ntasks", "n", "nodes", "N"),
}
"""sbatch's options, in long and short, that avmit sets itself or that would break its jobs."""

_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """What jobs get; None and () leave it to the cluster.

    `gpus` is a number or TYPE:NUMBER for each task, `parallel` how many tasks run at a time at
    most, `setup` lines of the script before the command, `more` other options of sbatch as
    KEY=VALUE, `command` what stands for avmit in the script. A task has `per_task` shards. It is
    told `grace` seconds before its time limit, and started again `requeues` times at most.
    """

    partition: str | None = None
    time: str | None = None
    gpus: str | None = None
    mem: str | None = None
    cpus: int | None = None
    parallel: int | None = None
    account: str | None = None
    setup: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    command: str | None = None
    per_task: int = 1
    grace: int = 120
    requeues: int = 100

    def __post_init__(self) -> None:
        for one in self.more:
            _check_more(one)
        given = [one.partition("=")[2] for one in self.more if re.match("-*(time|t)=", one)]
        limit = given[-1] if given else self.time
        if limit is not None:
            self._check_grace(limit)

    def _check_grace(self, limit: str) -> None:
        least = 2 * (self.grace + _EARLY_SECONDS)
        if _seconds(limit) < least:
            raise ground.AvmitError(
                f"--slurm-time {limit} is too short for --slurm-grace {self.grace}: tasks may be "
                f"told to stop {self.grace + _EARLY_SECONDS} s before it, so give at least "
                f"{_clock(least)}, or a shorter --slurm-grace"
            )

    def directives(self) -> list[str]:
        """Return sbatch's options that hold for every job, as they stand behind #SBATCH."""
        named = {
            "partition": self.partition,
            "account": self.account,
            "time": self.time,
            "mem": self.mem,
        }
        found = [f"--{name}={value}" for name, value in named.items() if value is not None]
        return [*found, *(one if one.startswith("-") else f"--{one}" for one in self.more)]


def _check_more(text: str) -> None:
    key = text.partition("=")[0].lstrip("-")
    if not re.fullmatch(r"-{0,2}[A-Za-z][\w-]*(=[^\n]*)?", text):
        raise ground.AvmitError(
            f"--slurm {text}: write KEY=VALUE, an option of sbatch such as qos=long"
        )
    if key in _OURS:
        raise ground.AvmitError(f"--slurm {text}: avmit sets {key} itself; leave it away")


def _seconds(limit: str) -> float:
    """Return the seconds of a time as sbatch takes it; M, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    if limit.upper() in ("UNLIMITED", "INFINITE", "-1", "0"):
        return float("inf")
    found = _TIME.fullmatch(limit)
    if found is None:
        raise ground.AvmitError(
            f"--slurm-time {limit}: write it as sbatch takes it, such as 4:00:00"
        )
    days, *rest = found.groups()
    parts = [int(part) for part in rest if part is not None]
    if days is None and len(parts) < 3:  # minutes, or minutes and seconds
        parts.insert(0, 0)
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
