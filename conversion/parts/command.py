"""The commands `avmit finish` and `avmit jobs`."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from conversion import ground
from conversion.package.manifest import NAME
from conversion.parts.jobs import Job, Jobs, Queued
from conversion.parts.jobs import jobs as jobs_of
from conversion.parts.place import PlanFolder, plans
from conversion.stopped import saying
from conversion.terminal import OnlyConfigs, PackageFolder, cell, show, table_console

_LISTED = 20
_WATCHED_SECONDS = 5.0

AskEngine = Callable[[PlanFolder], Queued]
"""Returns what an engine says of the shards of a plan that wait."""


def finish(package: PackageFolder, config: OnlyConfigs = None) -> None:
    """Put together what tasks with --shards have made: the configs and the card appear at once.

    Without --config, all that are planned. What is missing is named with its reason, and the exit
    code is then 1.

    Example: avmit finish avmit
    """
    # Late, for `jobs` needs nothing of what takes long to import.
    from conversion.parts.finish import Lacking
    from conversion.parts.finish import finish as put_together

    try:
        put = put_together(package, _chosen(package, config))
    except Lacking as error:
        for name in error.configs:
            show(*_reasons(jobs_of(PlanFolder(package, name))))
        raise
    for one in put:
        manifest = one.manifest
        rows = ", ".join(f"{split} {manifest.rows(split):,} rows" for split in manifest.splits)
        show(f"{manifest.config}: {rows}{'' if one.changed else ' (unchanged)'}")
        if one.bad:
            show(f"  {len(one.bad):,} left out: all in {manifest.config}/{manifest.bad_list}")
    show(f'{package}: load it with load_dataset("{package}", "{put[-1].manifest.config}")')


def show_jobs(
    package: Path,
    configs: list[str] | None,
    failed: bool = False,
    as_json: bool = False,
    watch: bool = False,
    ask_engine: AskEngine = lambda folder: MappingProxyType({}),
) -> None:
    """Show what became of the shards of all plans, or of those of `configs`.

    Raises:
        AvmitError: there is no such plan and no such config, or it cannot be read.
    """
    whole = sorted(path.parent.name for path in package.glob(f"*/{NAME}"))
    names = configs or plans(package) or whole or _chosen(package, configs)
    chosen = [PlanFolder(package, name) for name in names]

    def found() -> list[Jobs]:
        return [one for folder in chosen if (one := _state(folder, ask_engine)) is not None]

    if as_json:
        print(json.dumps({one.config: _described(one, failed) for one in found()}, indent=2))
        return
    if not watch:
        table_console().print(_shown(names, found(), failed))
        return
    console = table_console()
    # Ctrl-C may come while Live begins: nothing else is shown, so that it need not hold stderr.
    live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    with saying("watches no longer, and what is at work goes on"), _cursor_again(console), live:
        while True:
            states = found()
            live.update(_shown(names, states, failed), refresh=True)
            if all(one.done == one.of for one in states):
                break
            time.sleep(_WATCHED_SECONDS)
    if not console.is_terminal:
        print()  # which Live leaves out in a file


@contextmanager
def _cursor_again(console: Console) -> Iterator[None]:
    """Let the cursor be seen after this block, which Live hides before it can end."""
    try:
        yield
    finally:
        console.show_cursor(True)


def _chosen(package: Path, configs: list[str] | None) -> list[str]:
    names = configs or plans(package)
    if not names:
        raise ground.AvmitError(
            f"nothing in {package} waits to be finished: `--shards` makes a plan of a run first"
        )
    return names


def _state(folder: PlanFolder, ask_engine: AskEngine) -> Jobs | None:
    """Return what became of a plan's shards; None if they have been put together."""
    try:
        return jobs_of(folder, ask_engine(folder))
    except ground.AvmitError:
        if folder.exists() or not (folder.out / folder.config / NAME).is_file():
            raise
        return None


def _shown(names: list[str], states: list[Jobs], failed: bool) -> Group:
    parts = [part for one in states for part in (_table(one, failed), _totals(one))]
    left = {one.config for one in states}
    whole = [cell(f"{name}: done and put together") for name in names if name not in left]
    return Group(*whole, *parts)


def _table(found: Jobs, failed: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in (found.config, "state", "rows", "since", "where"):
        table.add_column(name, justify="right" if name == "rows" else "left")
    for job in found.shards:
        if failed and job.state != "failed":
            continue
        rows = f"{job.done:,} of {job.of:,}" if job.state == "running" else f"{job.of:,}"
        where = "; ".join(part for part in (job.where, _last_line(job)) if part)
        table.add_row(cell(job.shard), job.state, rows, _clock(job.since), cell(where))
    return table


def _totals(found: Jobs) -> Text:
    shards = ", ".join(f"{count:,} {state}" for state, count in found.counts.items() if count)
    line = f"{found.config}: {found.done:,} of {found.of:,} rows; shards: {shards}"
    if found.seconds_left is not None:
        end = _clock(time.time() + found.seconds_left)
        line += f"; {found.rate:,.1f} rows/s, done about {end}"
    return cell(line)


def _reasons(found: Jobs) -> list[str]:
    lacking = [job for job in found.shards if job.state != "done"]
    lines = []
    for job in lacking[:_LISTED]:
        reason = {
            "running": f"running on {job.where} since {_clock(job.since)}",
            "failed": f"failed on {job.where}: {_last_line(job)}",
            "queued": f"queued, {job.where}",
        }.get(job.state, job.state)
        lines.append(f"{found.config}/{job.shard}: {reason}")
    if len(lacking) > _LISTED:
        more = len(lacking) - _LISTED
        lines.append(f"{found.config}: and {more:,} more; see `avmit jobs`")
    return lines


def _described(found: Jobs, failed: bool) -> dict[str, Any]:
    return {
        "shards": [asdict(job) for job in found.shards if not failed or job.state == "failed"],
        "counts": found.counts,
        "rows_done": found.done,
        "rows": found.of,
        "rows_per_second": round(found.rate, 3),
        "seconds_left": None if found.seconds_left is None else round(found.seconds_left, 1),
    }


def _last_line(job: Job) -> str:
    return job.lines.strip().splitlines()[-1] if job.lines.strip() else ""


def _clock(seconds: float | None) -> str:
    """Return a local time such as `2026-11-25 03:01`."""
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds).isoformat(" ", "minutes")
    except (OverflowError, OSError, ValueError):  # of a file that anybody may have written
        return "?"
