"""The command `avmit show`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from conversion.terminal import PackageFolder, show
from experiments.show.lines import lines_of
from experiments.show.video import read_video


def show_video(
    package: PackageFolder,
    filename: Annotated[
        str,
        typer.Argument(
            help="The video: its filename, tfrecord_filename or new_filename, or the stem of one."
        ),
    ],
    silent: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The list of `avmit silent`, where configs do not tell."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show everything known of one video: ratings, labels, source, rows in each config, sound.

    Rows are numbered from 0 within their split, as `datasets` does. Of embeddings only the shapes
    are looked at.

    Example: avmit show avmit barking/yt-7EwRO-wEbiQ_50.mp4
    """
    video = read_video(package, filename, silent)
    if json_output:
        print(json.dumps(asdict(video), indent=2))
        return
    show(*lines_of(video))
