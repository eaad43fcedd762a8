"""The command `avmit info`."""

from pathlib import Path
from typing import Annotated

import typer

from conversion.package.info import describe
from conversion.terminal import show, table_console


def info(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
) -> None:
    """Show a package's configs, splits, rows, widths, sizes and provenance.

    Example: avmit info avmit
    """
    table, provenance = describe(package)
    table_console().print(table)
    show(*provenance)
