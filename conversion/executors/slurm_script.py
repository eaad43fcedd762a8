"""The scripts that Slurm runs: an array with some shards to a task, and the job that ends it."""

import shlex
from collections.abc import Sequence

from conversion.executors.slurm_options import SlurmOptions
from conversion.executors.work import Work, avmit_command, ranges

# Bash runs a trap only while it waits, hence the background. SLURM_JOB_ID may be that of the whole
# array, all of whose tasks a requeue would start again. Slurm ends what still runs at a requeue by
# SIGTERM, at which avmit keeps what it has. A signal that comes at the start says that the limit of
# the partition is shorter than the grace: that would go on for ever.
_ARRAY = """\
again() {{
    trap '' USR1
    if [ "$SECONDS" -lt {grace} ]; then
        echo "avmit: the time limit is too near the start: give more --slurm-time" >&2
        return
    fi
    echo "avmit: the time limit is near: going on in this task's next turn" >&2
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
}}
trap again USR1
if [ "${{SLURM_RESTART_COUNT:-0}}" -gt {requeues} ]; then
    echo "avmit: started again {requeues} times, the most that --slurm-requeues allows" >&2
    exit 1
fi
{setup}
{command} &
while wait $!; code=$?; kill -0 $! 2> /dev/null; do :; done
exit $code
"""

_PART = "AVMIT_PART"


def array_script(work: Work, options: SlurmOptions, tasks: Sequence[int], of: int) -> str:
    """Return the script of the array with these `tasks` of as many as the shards are dealt to.

    The job's name tells how many those are, so that a task's index says which shards it has.
    """
    most = f"%{options.parallel}" if options.parallel else ""
    head = [
        f"--job-name={work.name}-{work.shards}x{of}",
        f"--array={ranges(tasks)}{most}",
        "--ntasks=1",
        *([] if options.cpus is None else [f"--cpus-per-task={options.cpus}"]),
        *([] if options.gpus is None else [f"--gres=gpu:{options.gpus}"]),
        *_common(work, options, "%A_%a.log"),
        "--requeue",
        f"--signal=B:USR1@{options.grace}",
    ]
    body = _ARRAY.format(
        requeues=options.requeues,
        grace=options.grace,
        setup="\n".join(_setup(work, options)),
        command=_call(work.part(_PART), options).replace(_PART, f'"$SLURM_ARRAY_TASK_ID/{of}"'),
    )
    return _script(head, body)


def finish_script(work: Work, options: SlurmOptions) -> str:
    """Return the script of the job that puts the finished shards together."""
    head = [
        f"--job-name={work.name}-finish",
        "--ntasks=1",
        *_common(work, options, "%A_finish.log"),
        "--requeue",
    ]
    return _script(head, "\n".join([*_setup(work, options), _call(work.finish, options), ""]))


def _common(work: Work, options: SlurmOptions, log: str) -> list[str]:
    folder = str(work.folder.absolute()).replace("%", "%%")
    return [
        f"--chdir={work.cwd}",
        f"--output={folder}/{log}",
        "--open-mode=append",
        *options.directives(),
    ]


def _setup(work: Work, options: SlurmOptions) -> list[str]:
    exports = [f"export {name}={shlex.quote(v)}" for name, v in work.environment.items()]
    # What libraries, and avmit, take for the number of cores that they may use.
    threads = 'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"'
    return [threads, *exports, *options.setup]


def _call(arguments: Sequence[str], options: SlurmOptions) -> str:
    return f"{options.command or avmit_command()} {shlex.join(arguments)}"


def _script(head: Sequence[str], body: str) -> str:
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {_quoted(one)}" for one in head), "", body])


def _quoted(directive: str) -> str:
    """Write an option so that sbatch takes blanks and quotes in its value as they are."""
    name, equals, value = directive.partition("=")
    if not any(character in value for character in " \t\"'\\#"):
        return directive
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}{equals}"{escaped}"'
