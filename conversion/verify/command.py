"""The command `avmit verify`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich import box, progress
from rich.table import Table
from rich.text import Text

from conversion.terminal import PackageFolder, Workers, cell, progress_bar, show, table_console
from conversion.verify import verification
from conversion.verify.check import Check


def verify(
    package: PackageFolder,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of the table.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Check a package: checksums, card, rows, values, and the paper's counts.

    Prints a table of what was looked at and found. Exits with 0 when all holds, 1 when something
    does not.

    Example: avmit verify avmit
    """
    columns = (progress.DownloadColumn(), progress.TransferSpeedColumn())
    with progress_bar("verifying", *columns) as advance:
        checks = verification.verify(package, advance, workers)
    wrong = sum(not check.ok for check in checks)
    if json_output:
        document = {
            "package": str(package),
            "ok": not wrong,
            "checks": [asdict(check) for check in checks],
        }
        print(json.dumps(document, indent=2))
    else:
        table_console().print(_table(checks))
        show(f"{package}: " + (f"{wrong} of {len(checks)} checks fail" if wrong else "all holds"))
    if wrong:
        raise typer.Exit(1)


def _table(checks: Sequence[Check]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("check", "where", "", "found"):
        table.add_column(name, overflow="fold")
    for check in checks:
        verdict = Text("ok", "green") if check.ok else Text("FAILS", "bold red")
        table.add_row(check.name, cell(check.where), verdict, cell(check.found))
    return table
