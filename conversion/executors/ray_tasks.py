"""Compute work by Ray's own tasks, one for each missing shard."""

import contextlib
import io
import os
import re
import runpy
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from conversion import ground
from conversion.executors.work import Work
from conversion.wording import first_line

RETRIES = 10
"""How often a shard is begun again when the worker or the node that has it is lost."""

_ANSWER_SECONDS = 20.0
_HOST_AND_PORT = re.compile(r"(ray://)?\[?(?P<host>[\w.:-]+?)\]?:(?P<port>\d{1,5})", re.ASCII)

Progress = Callable[[int, int], None]
"""Told of (shards done since the last call, all that are missing)."""


@dataclass(frozen=True)
class RayOptions:
    """Where the cluster is, None for the one that RAY_ADDRESS names or else for this machine alone;
    and how many GPUs and CPUs a shard gets.
    """

    address: str | None = None
    gpus: float = 0
    cpus: float = 1


@dataclass(frozen=True)
class Failed:
    """A shard that was not done, where, and the last lines of why."""

    shard: int
    host: str
    lines: tuple[str, ...]


def run(work: Work, options: RayOptions, progress: Progress) -> list[Failed]:
    """Compute all missing shards, and return those that failed, by number.

    A shard whose worker is lost is begun again elsewhere, and goes on from what was kept of it.

    Raises:
        AvmitError: Ray is not installed, no cluster answers, or none can ever give what is asked.
    """
    ray = _ray()
    missing = work.missing()
    # Ray prints the logs of nodes that are lost, whatever it is told of logging.
    with contextlib.redirect_stdout(io.StringIO()), _connected(ray, options):
        _check_resources(ray, options)
        remote = ray.remote(
            num_cpus=options.cpus,
            num_gpus=options.gpus,
            max_retries=RETRIES,
            max_calls=1,  # a process for each, so that no network holds memory after its shard
            runtime_env={"env_vars": {**work.environment}},
        )(compute)
        pending = {
            remote.remote(work.part(f"{shard}/{work.shards}"), str(work.cwd)): shard
            for shard in missing
        }
        failed = []
        while pending:
            ready, _ = ray.wait([*pending], num_returns=1)
            for reference in ready:
                shard = pending.pop(reference)
                failed += _outcome(ray, reference, shard)
            progress(len(ready), len(missing))
    return sorted(failed, key=lambda one: one.shard)


def compute(arguments: Sequence[str], folder: str) -> tuple[str, tuple[str, ...]]:
    """Run avmit in this process, a worker's, and return its host and the last lines of a failure.

    A worker that is killed takes all that computes with it, which a process below it would outlive.
    """
    lines = io.StringIO()
    sys.argv = ["avmit", *arguments]
    code: object = 0
    try:
        os.chdir(folder)
        with contextlib.redirect_stdout(lines), contextlib.redirect_stderr(lines):
            # The command itself, as `python -m avmit_cli` runs it.
            runpy.run_module("avmit_cli", run_name="__main__")
    except SystemExit as stopped:
        code = stopped.code
    except OSError as error:
        return socket.gethostname(), (f"avmit: {error}",)
    if not code:
        return socket.gethostname(), ()
    said = [*lines.getvalue().splitlines(), *([code] if isinstance(code, str) else [])]
    return socket.gethostname(), tuple(said[-3:]) or (f"exit code {code}",)


def _outcome(ray: Any, reference: Any, shard: int) -> list[Failed]:
    try:
        host, lines = ray.get(reference)
    except ray.exceptions.RayError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        return [Failed(shard, "?", tuple(said[-1:] or [type(error).__name__]))]
    return [Failed(shard, host, lines)] if lines else []


def _ray() -> Any:
    # Ray reports who uses it how, unless it is told not to before it starts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError as error:
        raise ground.AvmitError(
            f"{error.name or 'ray'} is not installed or does not load: pip install 'avmit[ray]'"
        ) from error


@contextlib.contextmanager
def _connected(ray: Any, options: RayOptions) -> Any:
    if ray.is_initialized():
        yield
        return
    asked: Mapping[str, Any] = {} if options.address is None else {"address": options.address}
    address = options.address or os.environ.get("RAY_ADDRESS") or ""
    try:
        _check_answers(address)
        ray.init(**asked, log_to_driver=False, logging_level="ERROR", include_dashboard=None)
    except Exception as error:  # ConnectionError, RuntimeError, ValueError and others
        raise ground.AvmitError(
            f"no Ray at {address or 'this machine'} ({first_line(error)}): start one with "
            "`ray start --head`, or give another --ray-address"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise an OSError if nobody is there, of whom Ray would ask for minutes."""
    if found := _HOST_AND_PORT.fullmatch(address):
        socket.create_connection((found["host"], int(found["port"])), _ANSWER_SECONDS).close()


def _check_resources(ray: Any, options: RayOptions) -> None:
    """Refuse what no node has, for which Ray would wait without end."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for name, wanted in (("CPU", options.cpus), ("GPU", options.gpus)):
        most = max((node.get(name, 0) for node in nodes), default=0)
        if wanted > most:
            raise ground.AvmitError(
                f"--ray-{name.lower()}s {wanted:g}: no node of this Ray has more than {most:g}"
            )
