"""The command `avmit index`."""

from rich import progress

from conversion.package.index.update import Indexed, index_package
from conversion.terminal import OnlyConfigs, PackageFolder, progress_bar, show
from conversion.wording import format_bytes


def index(
    package: PackageFolder,
    config: OnlyConfigs = None,
) -> None:
    """Write where in the shards their record batches and columns lie, for streams to read.

    Packages that avmit makes have this index; this gives it to older ones. Shards stay as they are,
    and are checked against their manifest.

    Example: avmit index avmit
    """
    columns = (progress.DownloadColumn(), progress.TransferSpeedColumn())
    with progress_bar("indexing", *columns) as advance:
        done = index_package(package, config, advance)
    show(*map(_summary, done))


def _summary(done: Indexed) -> str:
    if done.index is None:
        deleted = "; the index.json that was there is deleted" if done.changed else ""
        return f"{done.config}: no index ({done.reason}){deleted}"
    what = "written" if done.changed else "is up to date"
    size = format_bytes(done.size)
    return f"{done.config}: index.json {what} ({done.index.count}, {size})"
