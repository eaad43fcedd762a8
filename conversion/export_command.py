"""The command `avmit export`."""

from pathlib import Path
from typing import Annotated

import typer

from conversion import export as exporting
from conversion.terminal import progress_bar, show


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
    with progress_bar("exporting") as advance:
        count = exporting.export(package, config, out, workers, advance)
    show(f"{out}: {count:,} records of {config}")
