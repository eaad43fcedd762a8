"""The sub-commands of `avmit` that this package has."""

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from avmit import AvmitError
from conversion import convert as conversion
from conversion import demo as demonstration
from conversion.card import write_card
from conversion.info import describe
from conversion.manifest import BAD, MISSING
from conversion.shards import Encoding

app = typer.Typer(
    help="Audiovisual Moments in Time (AVMIT) as a Hugging Face dataset.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_LISTED = 5


class FormatName(StrEnum):
    """Values of --format."""

    arrow = "arrow"
    parquet = "parquet"


class CompressionName(StrEnum):
    """Values of --compression."""

    none = "none"
    lz4 = "lz4"
    zstd = "zstd"


class Policy(StrEnum):
    """Values of --on-bad-record."""

    error = "error"
    skip = "skip"


def run() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit code 1."""
    try:
        app()
    except AvmitError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _fail("the disk is full: make room and run again; what was finished is kept")
    except KeyboardInterrupt:
        print("\navmit: interrupted; run again to go on", file=sys.stderr)
        sys.exit(130)


def _fail(line: str) -> None:
    print(f"avmit: {line}", file=sys.stderr)
    sys.exit(1)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Folder of the release as downloaded.")],
    out: Annotated[Path, typer.Option(help="Folder of the hub package.")] = Path("avmit"),
    config: Annotated[
        list[str] | None, typer.Option(help="Build only this config; may be repeated.")
    ] = None,
    tfrecords: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="Give a record set a config's name; repeatable."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one for each core.")
    ] = None,
    max_shard_size: Annotated[
        str, typer.Option(help="The most that a shard takes uncompressed, such as 256MB.")
    ] = "256MB",
    compression: Annotated[
        CompressionName, typer.Option(help="Of embedding shards; uncompressed ones open fastest.")
    ] = CompressionName.none,
    format: Annotated[FormatName, typer.Option(help="Of the shards.")] = FormatName.arrow,
    on_bad_record: Annotated[
        Policy, typer.Option(help="Stop at bad records, or leave them out and list them.")
    ] = Policy.error,
) -> None:
    """Turn a release as downloaded into a hub package.

    SOURCE holds the three CSV files and, for each embedding set, a folder of TFRecords, anywhere in
    it and under any name.

    Example: avmit convert sources --out avmit --workers 4
    """
    options = conversion.Options(
        configs=config,
        tfrecords=_named_paths(tfrecords or []),
        workers=workers,
        max_shard_bytes=parse_size(max_shard_size),
        encoding=Encoding(format.value, compression.value),
        on_bad_record=on_bad_record.value,
    )
    with _progress() as progress:
        built = conversion.convert(source, out, options, progress)
    for item in built:
        print(_summary(item))
    print(f'{out}: load it with load_dataset("{out}", "{built[-1].manifest.config}")')


@app.command()
def info(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
) -> None:
    """Show a package's configs, splits, rows, widths, sizes and provenance.

    Example: avmit info avmit
    """
    table, provenance = describe(package)
    Console().print(table)
    print("\n".join(provenance))


@app.command()
def card(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
) -> None:
    """Write a package's dataset card, README.md, from what the folder holds.

    Example: avmit card avmit
    """
    write_card(package)
    print(f"{package / 'README.md'} written")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the generated package.")] = Path("avmit"),
) -> None:
    """Generate a small release, convert it, load it and stream it.

    Example: avmit demo --out demo/avmit
    """
    with _progress() as progress:
        for line in demonstration.run_demo(out, progress):
            print(line, flush=True)


def parse_size(text: str) -> int:
    """Return the number of bytes that a size such as `256MB` or `1GiB` means.

    Raises:
        AvmitError: it is not a size of at least one byte.
    """
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
    units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
    number = text.strip().rstrip("BbKkMmGgIi")
    unit = text.strip()[len(number) :].upper()
    try:
        size = int(float(number) * units[unit])
        if size < 1:
            raise ValueError
    except (ValueError, KeyError, OverflowError):
        raise AvmitError(f"'{text}' is not a size: write one such as 256MB or 1GB") from None
    return size


def _named_paths(values: Sequence[str]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for value in values:
        name, separator, path = value.partition("=")
        if not (name and separator and path) or name in named:
            raise AvmitError(f"--tfrecords {value}: write NAME=PATH, each NAME once")
        named[name] = Path(path)
        if not named[name].exists():
            raise AvmitError(f"--tfrecords {value}: there is nothing at {path}")
    return named


def _summary(built: conversion.Built) -> str:
    manifest = built.manifest
    rows = ", ".join(f"{split} {manifest.rows(split):,} rows" for split in manifest.splits)
    shards = sum(map(len, manifest.splits.values()))
    lines = [f"{manifest.config}: {rows}"]
    if not built.changed:
        lines[0] += " (unchanged)"
    elif built.kept:
        lines[0] += f" ({built.kept} of {shards} shards kept from an earlier run)"
    strays = manifest.source.get("strays", 0)
    if strays:
        lines.append(f"{strays:,} record files that no row names, left out")
    if built.missing:
        names = ", ".join(built.missing[:_LISTED])
        lines.append(
            f"{len(built.missing):,} rated videos without a record "
            f"({names}{_more(built.missing)}): all in {manifest.config}/{MISSING}"
        )
    if built.bad:
        names = "; ".join(f"{name} {reason}" for name, reason in built.bad[:_LISTED])
        lines.append(
            f"{len(built.bad):,} bad records left out ({names}{_more(built.bad)}): "
            f"all in {manifest.config}/{BAD}"
        )
    return "\n  ".join(lines)


def _more(items: Sequence[object]) -> str:
    return ", ..." if len(items) > _LISTED else ""


class _Rate(ProgressColumn):
    """Records per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} records/s")


@contextmanager
def _progress() -> Iterator[conversion.Progress]:
    """Show a progress bar on a terminal, on stderr; elsewhere nothing."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("converting", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, advance=done, total=total)

        yield advance
