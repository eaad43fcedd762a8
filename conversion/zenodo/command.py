"""`avmit download`: the release from Zenodo, with a table of its files and progress bars."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from conversion.terminal import Bars, cell, show
from conversion.wording import format_bytes, printable
from conversion.zenodo import download as downloads
from conversion.zenodo.record import BASE, KINDS, RECORD, RemoteFile, ZenodoRecord, read_record


def download(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("sources"),
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help=f"{', '.join(KINDS)}; may be repeated."),
    ] = None,
    record: Annotated[str, typer.Option(help="Number of the Zenodo record.")] = RECORD,
    list_only: Annotated[
        bool, typer.Option("--list", help="Show the files and download nothing.")
    ] = False,
    base_url: Annotated[
        str, typer.Option(envvar="AVMIT_ZENODO_URL", help="Address of the Zenodo server.")
    ] = BASE,
) -> None:
    """Download the release from Zenodo, each file checked against its md5.

    Run it again after an interruption: it goes on where it stopped.

    Example: avmit download --out sources --only annotations --only yamnet_effnet
    """
    console = Console(stderr=True)
    described = read_record(record, base_url, say=lambda line: _print_line(console, line))
    files = downloads.select(described, only or ())
    Console().print(_table(described, files))
    if list_only:
        return
    with _bars(console, files) as progress:
        retrieved = downloads.download(
            out,
            described,
            only or (),
            progress=progress,
            say=lambda line: _print_line(console, line),
        )
    show(*_summary(out, retrieved))


def _print_line(console: Console, line: str) -> None:
    console.print(cell(line), soft_wrap=True)


def _table(record: ZenodoRecord, chosen: Sequence[RemoteFile]) -> Table:
    version = f", version {record.version}" if record.version else ""
    facts = f"doi:{record.doi}{version}, {record.publication_date}"
    title = Text("\n").join(map(cell, (record.title, facts)))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("file", overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("chosen", no_wrap=True)
    for file in record.files:
        mark = "yes" if file in chosen else ""
        table.add_row(cell(file.name), file.kind or "unknown", format_bytes(file.size), mark)
    table.add_section()
    size = format_bytes(sum(file.size for file in chosen))
    table.add_row(f"{len(chosen)} chosen", "", size, "")
    return table


def _summary(out: Path, retrieved: Sequence[downloads.Retrieved]) -> list[str]:
    fetched = sum(item.fetched for item in retrieved)
    received = format_bytes(sum(item.received for item in retrieved))
    return [
        f"{out}: fetched {fetched} ({received}), kept {len(retrieved) - fetched} that were here; "
        "every md5 is the record's",
        f"next: avmit convert {out} --out avmit",
    ]


@contextmanager
def _bars(console: Console, files: Sequence[RemoteFile]) -> Iterator[downloads.Progress]:
    """Show a bar for each file and one for what this run has to fetch; on a terminal only."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[RemoteFile, TaskID] = {}
    started_at: dict[RemoteFile, int] = {}
    done_of: dict[RemoteFile, int] = {}
    with Bars(*columns, console=console) as bars:
        overall = bars.add_task("all files", total=sum(file.size for file in files))

        def progress(file: RemoteFile, done: int) -> None:
            bars.start()
            if file not in tasks:
                tasks[file] = bars.add_task(printable(file.name), total=file.size, completed=done)
            started_at[file] = min(done, started_at.get(file, done))
            done_of[file] = done
            bars.update(tasks[file], completed=done)
            bars.update(
                overall,
                completed=sum(done_of.values()) - sum(started_at.values()),
                total=sum(file.size for file in files) - sum(started_at.values()),
            )

        yield progress
