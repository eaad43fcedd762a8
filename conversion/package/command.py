"""The command `avmit info`."""

from conversion.package.info import describe
from conversion.terminal import PackageFolder, cell, table_console


def info(
    package: PackageFolder,
) -> None:
    """Show a package's configs, splits, rows, widths, sizes and provenance.

    Example: avmit info avmit
    """
    table, provenance = describe(package)
    console = table_console()
    console.print(table)
    for line in provenance:
        console.print(cell(line))
