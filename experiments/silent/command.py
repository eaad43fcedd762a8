"""The command `avmit silent`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from conversion.terminal import PackageFolder, progress_bar, show
from experiments.choices.name_list import write_names
from experiments.silent.finding import find_silent


def silent(
    package: PackageFolder,
    config: Annotated[str, typer.Option(help="An embedding config.")],
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER_DIR/CONFIG",
            help="A config of the same encoder with a video known to have no audio.",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            help="How far values may be from those of silence that is known, as a share of the "
            "largest; 0 for equal bytes."
        ),
    ] = 0.0,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the list there, a CSV with the column filename."),
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of the list.")
    ] = False,
) -> None:
    """List the videos without sound, by audio embeddings that are those of digital silence.

    Those are the audio of videos that are known to have none, of this config or of --like; or else
    the one matrix that videos share byte for byte, since each video without an audio stream was
    embedded as three seconds of zeros. `avmit.select(rows, has_audio=True, silent=FILE)` in Python
    leaves out the videos of the list.

    Example: avmit silent avmit --config yamnet_effnet --out silent.csv
    """
    with progress_bar("reading") as advance:
        found = find_silent(package, config, like, tolerance, advance)
    if out is not None:
        write_names(out, found.filenames)
    if json_output:
        print(json.dumps(asdict(found), indent=2))
        return
    if out is None:
        show(*found.filenames)
    said = f"{len(found.filenames):,} of {found.videos:,} videos of {config} are silent"
    show(f"{said}, found by {found.how}", *([f"note: {found.note}"] if found.note else []))
    if out is not None:
        show(f'{out} lists them: avmit.select(rows, has_audio=True, silent="{out}")')
