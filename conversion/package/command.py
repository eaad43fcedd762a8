"""The command `avmit info`."""

from conversion.package.info import describe
from conversion.terminal import PackageFolder, show, table_console


def info(
    package: PackageFolder,
) -> None:
    """Show a package's configs, splits, rows, widths, sizes and provenance.

    Example: avmit info avmit
    """
    table, provenance = describe(package)
    table_console().print(table)
    show(*provenance)
