"""The command `avmit export`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import progress
from rich.console import Console

from conversion import export as exporting


def export(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
    config: Annotated[str, typer.Option(help="The embedding config to write.")],
    out: Annotated[
        Path, typer.Option(metavar="TFRECORD_DIR", help="Folder for the records, new or empty.")
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one for each core.")
    ] = None,
) -> None:
    """Write a config as the release publishes it: one gzip TFRecord per video, by label.

    TensorFlow reads the records, and so does `avmit convert`, which makes the same shards of them.

    Example: avmit export avmit --config yamnet_effnet --out tfrecords
    """
    with _progress() as advance:
        count = exporting.export(package, config, out, workers, advance)
    print(f"{out}: {count:,} records of {config}")


@contextmanager
def _progress() -> Iterator[exporting.Progress]:
    """Show a bar of records on a terminal, on stderr; elsewhere nothing."""
    console = Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("exporting", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, advance=done, total=total)

        yield advance
