"""`avmit compare`: its tables."""

import json
from collections.abc import Callable
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from conversion.terminal import PackageFolder, cell, progress_bar, show, table_console
from extraction.compare import comparison
from extraction.compare.shown import document, sampled, similarities


def compare(
    package: PackageFolder,
    config_a: Annotated[str, typer.Argument(help="An embedding config.")],
    config_b: Annotated[
        str, typer.Argument(help="Another, or the folder of one in another package.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Of samples and intervals.")] = 0,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of the tables.")
    ] = False,
) -> None:
    """Compare two configs video by video, and how alike each finds the videos, of any widths.

    Of the same widths, absolute differences are of single values. Relative ones are of a timestep's
    vectors, the length of their difference over the longer one's. Videos with other numbers of
    timesteps come first among the worst.

    Of any widths, each video's mean over its timesteps is compared with those of the others: by
    linear CKA, by RSA (Spearman's correlation of the videos' dissimilarities, 1 - r), by how many
    of a video's nearest neighbours are the same, and by how many videos are nearest to the mean of
    their class. Intervals are of 95%, by drawing videos again.

    Example: avmit compare avmit yamnet_effnet mine
    """
    with progress_bar("comparing") as advance:
        found = comparison.compare(package, config_a, config_b, advance, seed)
    if json_output:
        print(json.dumps(document(found, config_a, config_b), indent=2, allow_nan=False))
        return
    console = table_console()
    if found.columns:
        console.print(_totals(found))
        console.print(_worst(found, config_a, config_b))
    console.print(similarities(found.similarities, config_a, config_b))
    show(*sampled(found.similarities))
    for column, reason in found.skipped.items():
        show(f"values of {column} are not compared: {reason}")
    show(f"videos in {config_a} alone: {found.only_a:,}; in {config_b} alone: {found.only_b:,}")


def _totals(found: comparison.Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="differences", title_justify="left")
    table.add_column("")
    for column in found.columns:
        table.add_column(column, justify="right")
    rows: list[tuple[str, Callable[[comparison.ColumnDifference], str]]] = [
        ("videos", lambda one: f"{one.videos:,}"),
        ("other timesteps", lambda one: f"{one.mismatches:,}"),
        ("timesteps compared", lambda one: f"{one.steps:,}"),
        ("worst absolute", lambda one: f"{one.worst_absolute:.3g}"),
        ("mean absolute", lambda one: f"{one.mean_absolute:.3g}"),
        ("worst relative", lambda one: f"{one.worst_relative:.3g}"),
        ("mean relative", lambda one: f"{one.mean_relative:.3g}"),
        ("worst cosine", lambda one: f"{one.worst_cosine:.7f}"),
        ("mean cosine", lambda one: f"{one.mean_cosine:.7f}"),
    ]
    for name, text in rows:
        table.add_row(name, *(text(one) for one in found.columns.values()))
    return table


def _worst(found: comparison.Comparison, config_a: str, config_b: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="the worst videos", title_justify="left")
    table.add_column("video", overflow="fold")
    table.add_column("column")
    for name in ("relative", "absolute", "cosine", f"timesteps {config_a}, {config_b}"):
        table.add_column(cell(name), justify="right")
    for one in found.worst:
        table.add_row(
            cell(one.name),
            one.column,
            f"{one.relative:.3g}",
            f"{one.absolute:.3g}",
            f"{one.cosine:.7f}",
            f"{one.steps[0]}, {one.steps[1]}",
        )
    return table
