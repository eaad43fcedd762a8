"""The command `avmit info`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conversion.info import describe


def info(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
) -> None:
    """Show a package's configs, splits, rows, widths, sizes and provenance.

    Example: avmit info avmit
    """
    table, provenance = describe(package)
    Console().print(table)
    print("\n".join(provenance))
