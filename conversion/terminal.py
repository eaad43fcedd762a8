"""What commands share: options, progress bars on a terminal's stderr, and tables on stdout."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from rich import progress
from rich.console import Console
from rich.text import Text

from conversion.wording import printable

PackageFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")]
OutFolder = Annotated[Path, typer.Option(help="Folder of the hub package.")]
OnlyConfigs = Annotated[list[str] | None, typer.Option(help="Only this config; may be repeated.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; by default one for each core.")
]
MaxShardSize = Annotated[
    str, typer.Option(help="The most that a shard takes uncompressed, such as 256MB.")
]
OnlyShards = Annotated[
    str | None,
    typer.Option(
        metavar="PART/PARTS",
        help="Make only these parts of the shards, such as 3/16 or 2,5-7/16, counted from 0: of "
        "16, part 3 has the shards 3, 19, 35... Any number of tasks may do so at once; "
        "`avmit finish` puts all together.",
    ),
]

_UNBOUNDED = 100_000  # columns

Advance = Callable[[int, int], None]
"""Told of (what was done since the last call, all there is to do), in the bar's units."""


class Rate(progress.ProgressColumn):
    """How many of `unit` are done in a second."""

    def __init__(self, unit: str, digits: int = 0):
        super().__init__()
        self._unit = unit
        self._digits = digits

    def render(self, task: progress.Task) -> Text:
        """Return the rate as text, nothing as long as there is none."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.{self._digits}f} {self._unit}/s")


class Bars(progress.Progress):
    """Bars on a terminal's stderr, to be seen from `start` on; elsewhere nothing is shown.

    The thread that redraws them is there no sooner, so that what is going to be done can fork
    worker processes first.
    """

    def __init__(self, *columns: progress.ProgressColumn, console: Console | None = None):
        console = console or Console(stderr=True)
        super().__init__(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.live.is_started:
            self.stop()


@contextmanager
def live_bar(
    doing: str, *columns: progress.ProgressColumn, **fields: Any
) -> Iterator[tuple[Bars, progress.TaskID]]:
    """Yield a bar with `columns`, yet to be started.

    `fields` are the first values of what the columns take from `task.fields`.
    """
    shown = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        *columns,
        progress.TimeRemainingColumn(),
    )
    with Bars(*shown) as bar:
        yield bar, bar.add_task(doing, total=None, **fields)


@contextmanager
def progress_bar(
    doing: str, *columns: progress.ProgressColumn, transient: bool = False
) -> Iterator[Advance]:
    """Yield what advances a bar with `columns`, or with a count if there are none.

    It is shown as soon as something is done; what is `transient` goes when the block ends.
    """
    with live_bar(doing, *(columns or [progress.MofNCompleteColumn()])) as (bar, task):
        bar.live.transient = transient

        def advance(done: int, total: int) -> None:
            if done:
                bar.start()
            bar.update(task, advance=done, total=total)

        yield advance


def show(*lines: str) -> None:
    """Print lines on stdout; what a terminal would obey in others' names is written out."""
    for line in lines:
        print(printable(line), flush=True)


def cell(text: str) -> Text:
    """Return others' text for a table: as it is, without markup, on one line."""
    return Text(printable(text))


def table_console() -> Console:
    """Return a console on stdout; a file or another program gets whole lines, however long."""
    return Console(width=None if sys.stdout.isatty() else _UNBOUNDED)
