"""The commands `avmit convert`, `avmit export` and `avmit demo`: options and summaries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn

from avmit import AvmitError
from conversion.convert import build as conversion
from conversion.convert import export as exporting
from conversion.convert.demo import run_demo
from conversion.convert.planning import begin
from conversion.convert.shard import OnBadRecord
from conversion.convert.tasks import convert_shards
from conversion.executors.command import Engine, compute, refuse_both, with_engines
from conversion.package.manifest import BAD, MISSING
from conversion.package.writer import LEAST_SHARD_BYTES, Compression, Encoding, Format
from conversion.parts.making import summary
from conversion.parts.selection import parse_selection
from conversion.terminal import (
    MaxShardSize,
    OnlyConfigs,
    OnlyShards,
    OutFolder,
    PackageFolder,
    Rate,
    Workers,
    progress_bar,
    show,
)
from conversion.wording import parse_size

_LISTED = 5


@with_engines
def convert(
    source: Annotated[Path, typer.Argument(help="Folder of the release as downloaded.")],
    out: OutFolder = Path("avmit"),
    config: OnlyConfigs = None,
    tfrecords: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="Give a record set a config's name; repeatable."),
    ] = None,
    workers: Workers = None,
    max_shard_size: MaxShardSize = "256MB",
    compression: Annotated[
        Compression, typer.Option(help="Of embedding shards; uncompressed ones open fastest.")
    ] = "none",
    format: Annotated[Format, typer.Option(help="Of the shards.")] = "arrow",
    on_bad_record: Annotated[
        OnBadRecord, typer.Option(help="Stop at bad records, or leave them out and list them.")
    ] = "error",
    shards: OnlyShards = None,
    *,
    engine: Engine,
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
        max_shard_bytes=parse_size(max_shard_size, LEAST_SHARD_BYTES),
        encoding=Encoding(format, compression),
        on_bad_record=on_bad_record,
    )
    if engine.executor != "local":
        refuse_both(engine, {"--shards": shards is not None})
        compute(engine, out, begin(source, out, options), engine.arguments)
        return
    selection = None if shards is None else parse_selection(shards)
    with progress_bar("converting", MofNCompleteColumn(), Rate("records")) as progress:
        if selection is not None:
            made = convert_shards(source, out, options, selection, progress)
            show(*summary(made, shards or "", out))
            return
        built = conversion.convert(source, out, options, progress)
    for item in built:
        show(*_summary(item))
    show(f'{out}: load it with load_dataset("{out}", "{built[-1].manifest.config}")')


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


def _summary(built: conversion.Built) -> list[str]:
    manifest = built.manifest
    rows = ", ".join(f"{split} {manifest.rows(split):,} rows" for split in manifest.splits)
    shards = sum(map(len, manifest.splits.values()))
    lines = [f"{manifest.config}: {rows}"]
    if not built.changed:
        lines[0] += " (unchanged)"
    elif built.earlier["kept"]:
        lines.append(f"{built.earlier['kept']} of {shards} shards kept from an earlier run")
    if built.earlier["changed"]:
        count = built.earlier["changed"]
        lines.append(f"{count} of {shards} shards made again: their input or the options changed")
    if built.earlier["damaged"]:
        count = built.earlier["damaged"]
        lines.append(f"{count} of {shards} shards made again: they did not have their checksum")
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
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def _more(items: Sequence[object]) -> str:
    return ", ..." if len(items) > _LISTED else ""


def export(
    package: PackageFolder,
    config: Annotated[str, typer.Option(help="The embedding config to write.")],
    out: Annotated[
        Path, typer.Option(metavar="TFRECORD_DIR", help="Folder for the records, new or empty.")
    ],
    workers: Workers = None,
) -> None:
    """Write a config as the release publishes it: one gzip TFRecord per video, by label.

    TensorFlow reads the records, and so does `avmit convert`, which makes the same shards of them.

    Example: avmit export avmit --config yamnet_effnet --out tfrecords
    """
    with progress_bar("exporting") as advance:
        count = exporting.export(package, config, out, workers, advance)
    show(f"{out}: {count:,} records of {config}")


def demo(
    out: OutFolder = Path("avmit"),
) -> None:
    """Generate a small release, convert it, load it and stream it.

    Example: avmit demo --out demo/avmit
    """
    with progress_bar("converting", MofNCompleteColumn(), Rate("records")) as progress:
        for line in run_demo(out, progress):
            show(line)
