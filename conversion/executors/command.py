"""The options that commands with shards have in common, and what is shown of an engine at work."""

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import typer
from rich.progress import MofNCompleteColumn

from conversion import ground
from conversion.executors import ray_tasks, slurm
from conversion.executors.planned import ask_slurm, work_of
from conversion.executors.ray_tasks import RayOptions
from conversion.executors.slurm_options import SlurmOptions
from conversion.executors.submitting import submitting
from conversion.executors.work import Work, ranges
from conversion.parts.command import finish, show_jobs
from conversion.parts.plan import Plan
from conversion.stopped import saying
from conversion.terminal import OnlyConfigs, PackageFolder, progress_bar, show

Executor = Literal["local", "slurm", "ray"]

_LOOK_SECONDS = 5.0
PANEL = "More than one machine"
_LISTED = 5


@dataclass(frozen=True)
class Engine:
    """What the command line says of who computes the shards; `arguments` are all else of it."""

    executor: Executor = "local"
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    ray: RayOptions = field(default_factory=RayOptions)
    wait: bool = False
    dry_run: bool = False
    arguments: tuple[str, ...] = ()


def _option(help: str, metavar: str | None = None, least: int | None = None) -> Any:
    return typer.Option(help=help, metavar=metavar, min=least, rich_help_panel=PANEL)


def _engine(
    executor: Annotated[Executor, _option("Who computes the shards; see docs/clusters.md.")] = (
        "local"
    ),
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for Slurm's jobs.", rich_help_panel=PANEL)
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Write and show the scripts, and submit nothing.",
            rich_help_panel=PANEL,
        ),
    ] = False,
    slurm_partition: Annotated[str | None, _option("Partition of the jobs.")] = None,
    slurm_time: Annotated[
        str | None, _option("Time limit of a job; it goes on in its next one.", "H:MM:SS")
    ] = None,
    slurm_gpus: Annotated[
        str | None, _option("GPUs of a task, as 1 or a100:1.", "[TYPE:]N")
    ] = None,
    slurm_mem: Annotated[str | None, _option("Memory of a task, such as 16G.")] = None,
    slurm_cpus: Annotated[int | None, _option("Cores of a task.", least=1)] = None,
    slurm_parallel: Annotated[int | None, _option("Tasks at a time at most.", least=1)] = None,
    slurm_account: Annotated[str | None, _option("Account of the jobs.")] = None,
    slurm_setup: Annotated[
        list[str] | None, _option("Line of bash before the command; repeatable.", "LINE")
    ] = None,
    slurm: Annotated[
        list[str] | None, _option("Any other option of sbatch; repeatable.", "KEY=VALUE")
    ] = None,
    slurm_command: Annotated[
        str | None, _option("How jobs call avmit, such as 'apptainer exec x.sif avmit'.")
    ] = None,
    slurm_per_task: Annotated[int, _option("Shards that a task does.", least=1)] = 1,
    slurm_grace: Annotated[
        int, _option("Seconds before the time limit to stop at.", least=1)
    ] = SlurmOptions.grace,
    slurm_requeues: Annotated[
        int, _option("How often a job may begin again.", least=0)
    ] = SlurmOptions.requeues,
    ray_address: Annotated[
        str | None, _option("Ray's head, as auto or HOST:6379; by default this machine alone.")
    ] = None,
    ray_gpus: Annotated[
        float, typer.Option(min=0, help="GPUs of a shard.", rich_help_panel=PANEL)
    ] = 0,
    ray_cpus: Annotated[
        float, typer.Option(min=0, help="CPUs of a shard.", rich_help_panel=PANEL)
    ] = 1,
) -> Engine:
    return Engine(
        executor,
        SlurmOptions(
            partition=slurm_partition,
            time=slurm_time,
            gpus=slurm_gpus,
            mem=slurm_mem,
            cpus=slurm_cpus,
            parallel=slurm_parallel,
            account=slurm_account,
            setup=tuple(slurm_setup or ()),
            more=tuple(slurm or ()),
            command=slurm_command,
            per_task=slurm_per_task,
            grace=slurm_grace,
            requeues=slurm_requeues,
        ),
        RayOptions(ray_address, ray_gpus, ray_cpus),
        wait,
        dry_run,
    )


_OPTIONS = inspect.signature(_engine, eval_str=True).parameters


def with_engines(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the engines, which it is handed as its parameter `engine`."""
    own = inspect.signature(command, eval_str=True).parameters

    @functools.wraps(command)
    def with_options(context: typer.Context, **given: Any) -> None:
        engine = _engine(**{name: given.pop(name) for name in _OPTIONS})
        _refuse_untaken(context, engine.executor)
        command(**given, engine=_with_arguments(engine, context))

    parameters = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(one for name, one in own.items() if name != "engine"),
        *_OPTIONS.values(),
    ]
    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    vars(with_options).pop("__wrapped__")
    with_options.__annotations__ = {one.name: one.annotation for one in keyword}
    vars(with_options)["__signature__"] = inspect.Signature(keyword)
    return with_options


def _refuse_untaken(context: typer.Context, executor: Executor) -> None:
    """Refuse an option of another engine than the one that is chosen."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in _OPTIONS or not _is_given(context, name):
            continue
        takes = name.partition("_")[0]
        takes = "slurm" if name in ("wait", "dry_run") else takes
        if takes in ("slurm", "ray") and takes != executor:
            raise ground.AvmitError(
                f"{parameter.opts[0]} is for --executor {takes}: leave it away, or give that"
            )


def _with_arguments(engine: Engine, context: typer.Context) -> Engine:
    """Put the command line as it is without the engines' options into `engine`."""
    options, arguments = [], []
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in _OPTIONS or not _is_given(context, name):
            continue
        value = context.params[name]
        every = value if isinstance(value, list | tuple) else [value]
        if parameter.param_type_name == "argument":
            arguments += [str(one) for one in every]
        elif isinstance(value, bool):
            options.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            options += [f"{parameter.opts[-1]}={one}" for one in every]
    positional = ["--", *arguments] if arguments else []
    return replace(engine, arguments=(context.command.name or "", *options, *positional))


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse_both(engine: Engine, given: Mapping[str, bool]) -> None:
    """Refuse options that are given and do not go with an engine.

    Raises:
        AvmitError: one is given.
    """
    for option in (option for option, there in given.items() if there):
        raise ground.AvmitError(
            f"{option} with --executor {engine.executor}: leave one of them away"
        )


def compute(
    engine: Engine,
    out: Path,
    plans: Sequence[Plan],
    arguments: Sequence[str],
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Let an engine make the shards of plans by the command of these arguments, and tell of it.

    Raises:
        AvmitError: the engine cannot be had.
        typer.Exit: some shards were not made; which is shown.
    """
    work = work_of(out, plans, arguments, environment)
    if engine.executor == "ray":
        _compute_by_ray(engine, work)
    else:
        submitted = _submit(engine, work)
        if not (submitted and engine.wait):
            return
        with saying(
            f"waits no longer, and the jobs go on: look with `avmit jobs {work.out}`, or run this "
            "again to wait"
        ):
            _wait(work)
    if work.is_together():  # as Slurm's last job has done
        show(f'{out}: load it with load_dataset("{out}", "{plans[-1].config}")')
    else:
        finish(out, [plan.config for plan in plans])


def _compute_by_ray(engine: Engine, work: Work) -> None:
    with progress_bar("computing", MofNCompleteColumn()) as progress:
        failed = ray_tasks.run(work, engine.ray, progress)
    for one in failed[:_LISTED]:
        show(f"{work.label}: shard {one.shard} failed on {one.host}: {'; '.join(one.lines)}")
    if failed:
        numbers = ranges([one.shard for one in failed])
        show(f"{work.label}: shards {numbers} of {work.shards} are not done: run again to go on")
        raise typer.Exit(1)


def _submit(engine: Engine, work: Work) -> bool:
    """Submit the work, and tell whether it was; a dry run writes the scripts alone."""
    if engine.dry_run:
        submission = slurm.prepare(work, engine.slurm, there=False)
        slurm.write(submission)
        for path, text in submission.scripts.items():
            show(f"# {path}", *text.splitlines())
        show(*slurm.commands(submission))
        return False
    slurm.check_there()
    with submitting(work.out):
        submission = slurm.submit(work, slurm.prepare(work, engine.slurm))
    show(*slurm.describe(work, submission))
    return True


def _wait(work: Work) -> None:
    missing = len(work.missing())
    total = missing
    with progress_bar("computing", MofNCompleteColumn()) as progress:
        while slurm.in_queue(work):
            time.sleep(_LOOK_SECONDS)
            now = len(work.missing())
            progress(missing - now, total)
            missing = now
    if left := work.missing():
        show(
            f"{work.label}: shards {ranges(left)} of {work.shards} are not done: "
            f"`avmit jobs {work.out} --failed` says why; run again to go on"
        )
        raise typer.Exit(1)


def jobs(
    package: PackageFolder,
    config: OnlyConfigs = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only shards that failed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object, by config.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it until all is done.")] = False,
) -> None:
    """Show what of a run on many machines is done, running, queued or failed, and why.

    The folder is asked, whatever runs the tasks, and where there is a Slurm, its queue.

    Example: avmit jobs avmit --failed
    """
    show_jobs(package, config, failed, as_json, watch, ask_slurm)
