"""The command `avmit demo`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn

from conversion.demo import run_demo
from conversion.terminal import Rate, progress_bar, show


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the generated package.")] = Path("avmit"),
) -> None:
    """Generate a small release, convert it, load it and stream it.

    Example: avmit demo --out demo/avmit
    """
    with progress_bar("converting", MofNCompleteColumn(), Rate("records")) as progress:
        for line in run_demo(out, progress):
            show(line)
