"""The command `avmit report`."""

from pathlib import Path
from typing import Annotated

import typer

from avmit import AvmitError
from conversion.package.manifest_problems import FIGURES
from conversion.terminal import PackageFolder, progress_bar, show
from conversion.wording import format_bytes
from experiments.report.atlas import write_atlas
from experiments.report.card import draw_for_card
from experiments.report.making import make_report
from experiments.report.measures.maps import Kind


def report(
    package: PackageFolder,
    out: Annotated[Path, typer.Option(help="The folder of the page and its pictures.")] = Path(
        "report"
    ),
    map_kind: Annotated[
        Kind, typer.Option("--map", help="What the maps are made by; UMAP needs umap-learn.")
    ] = "pca",
    atlas: Annotated[
        Path | None,
        typer.Option(metavar="FILE.parquet", help="Write what embedding-atlas reads, instead."),
    ] = None,
    card: Annotated[
        bool,
        typer.Option("--card", help="Draw the card's pictures into the package, instead."),
    ] = False,
    config: Annotated[str | None, typer.Option(help="Of --atlas: the embedding config.")] = None,
    modality: Annotated[str, typer.Option(help="Of --atlas: audio or visual.")] = "visual",
) -> None:
    """Write a page of pictures of what is in a package, and the pictures as PNG files.

    The page opens from disk and asks for nothing outside of itself: classes, ratings and agreement,
    labels, source sites, timesteps, silence, norms, maps of the embeddings with hover text, nearest
    neighbours, and how well classes are told apart.

    With --card, three of the pictures go into the package itself, into figures/, and its card shows
    them: classes, agreement, and from which labels of Moments in Time the classes come.

    Example: avmit report avmit --out report
    """
    if card:
        if atlas is not None or config is not None:
            raise AvmitError("--card goes with no --atlas and no --config: leave them out")
        drawn = draw_for_card(package)
        names = ", ".join(f"{FIGURES}/{name}" for name in drawn.names)
        done = f"{names} drawn, README.md shows them" if drawn.changed else f"{names}: up to date"
        show(
            f"{package}: {done}", *(f"not drawn: {n}, as {why}" for n, why in drawn.lacking.items())
        )
        return
    if atlas is not None:
        if config is None:
            raise AvmitError("--atlas is of one config: name it with --config")
        with progress_bar("reading") as advance:
            command = write_atlas(package, atlas, config, modality, map_kind, advance)
        show(f"{atlas}: look at it with (pip install embedding-atlas)", f"  {command}")
        return
    if config is not None:
        raise AvmitError("--config is of --atlas: leave it out, the page has all configs")
    with progress_bar("reading") as advance:
        written = make_report(package, out, map_kind, advance)
    page = written[0]
    show(f"{page} ({format_bytes(page.stat().st_size)}), and {len(written) - 1} pictures beside it")
