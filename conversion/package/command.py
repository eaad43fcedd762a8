"""The commands `avmit info` and `avmit index`."""

from rich import progress

from conversion.package.index.update import Indexed, index_package
from conversion.package.info import describe
from conversion.terminal import OnlyConfigs, PackageFolder, progress_bar, show, table_console
from conversion.wording import format_bytes


def info(
    package: PackageFolder,
) -> None:
    """Show a package's configs, splits, rows, widths, sizes and provenance.

    Example: avmit info avmit
    """
    table, provenance = describe(package)
    table_console().print(table)
    show(*provenance)


def index(
    package: PackageFolder,
    config: OnlyConfigs = None,
) -> None:
    """Write beside the shards where their record batches and columns lie, for streams to read.

    Packages that avmit makes have this index; this gives it to older ones. Shards stay as they are.

    Example: avmit index avmit
    """
    columns = (progress.DownloadColumn(), progress.TransferSpeedColumn())
    with progress_bar("indexing", *columns) as advance:
        done = index_package(package, config, advance)
    show(*map(_summary, done))


def _summary(done: Indexed) -> str:
    if done.index is None:
        deleted = "; index.json, which was there, is deleted" if done.changed else ""
        return f"{done.config}: no index ({done.reason}){deleted}"
    what = "written" if done.changed else "is up to date"
    size = format_bytes(done.size)
    return f"{done.config}: index.json {what} ({done.index.count}, {size})"
