"""The command `avmit prefetch`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import progress

from avmit import AvmitError
from conversion import prefetch as prefetching
from conversion.terminal import progress_bar
from conversion.wording import format_bytes, printable


def prefetch(
    repo_id: Annotated[str, typer.Argument(help="Dataset repository on the Hub, user/name.")],
    config: Annotated[
        list[str] | None, typer.Option(help="Fetch only this config; may be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the package.")] = Path("avmit"),
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; by default main.")
    ] = None,
) -> None:
    """Bring a package from the Hub to a folder, for machines without internet.

    Every shard is checked against its manifest. Run it again after an interruption, or for a newer
    state of the package: it fetches what is missing.

    Example: avmit prefetch user/avmit --config yamnet_effnet --out avmit
    """
    start = time.monotonic()
    columns = (progress.DownloadColumn(), progress.TransferSpeedColumn())
    try:
        with progress_bar("fetching", *columns) as advance:
            commit, done = prefetching.prefetch(repo_id, out, config, revision, advance, _tell)
    except AvmitError as error:
        raise AvmitError(printable(str(error))) from None
    print(_summary(done))
    received = format_bytes(sum(item.received for item in done))
    print(
        f"{out}: {repo_id} at {commit[:12]}, {received} in {time.monotonic() - start:.1f} s; load "
        f'it, without a network too, with load_dataset("{out}", "{done[-1].manifest.config}")'
    )


def _tell(line: str) -> None:
    print(f"avmit: {printable(line)}", file=sys.stderr)


def _summary(done: Sequence[prefetching.Prefetched]) -> str:
    lines = []
    for item in done:
        what = (
            f"fetched {_shards(item.fetched)} ({format_bytes(item.received)}), kept {item.kept}"
            if item.changed
            else f"unchanged, kept {_shards(item.kept)}"
        )
        lines.append(f"{item.manifest.config}: {what}")
    return "\n".join(lines)


def _shards(count: int) -> str:
    return f"{count} shard" if count == 1 else f"{count} shards"
