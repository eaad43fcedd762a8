"""The commands `avmit push` and `avmit prefetch`: options and summaries."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from huggingface_hub.utils.tqdm import disable_progress_bars
from rich import progress

from conversion.hub import prefetch as prefetching
from conversion.hub import push as hub
from conversion.terminal import OnlyConfigs, OutFolder, PackageFolder, progress_bar
from conversion.wording import format_bytes, printable

RepoId = Annotated[str, typer.Argument(help="The dataset on the Hub, user/name.")]


def push(
    package: PackageFolder,
    repo_id: RepoId,
    config: OnlyConfigs = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new dataset private.")] = False,
    revision: Annotated[
        str | None, typer.Option(help="Branch, or pull request such as refs/pr/3; default main.")
    ] = None,
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Open a pull request, where you may not write.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and only read.")
    ] = False,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
) -> None:
    """Publish a package on the Hugging Face Hub, or bring it up to date there, in one commit.

    Shows what is new, changed, deleted and unchanged, and the card's difference. Other configs,
    files, YAML and prose on the Hub stay as they are; what is there already is not sent again.

    Example: avmit push avmit user/avmit --dry-run
    """
    if not sys.stderr.isatty():
        disable_progress_bars()
    options = hub.Options(config, private, revision, create_pr, dry_run, message)
    url = hub.push(package, repo_id, options, _tell)
    if url:
        print(f"pull request: {url}" if create_pr else f"published: {url}")


def _tell(line: str) -> None:
    print(printable(line), flush=True)


def prefetch(
    repo_id: RepoId,
    config: OnlyConfigs = None,
    out: OutFolder = Path("avmit"),
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; by default main.")
    ] = None,
    parallel: Annotated[
        int,
        typer.Option(min=1, max=prefetching.MOST_PARALLEL, help="How many shards come at a time."),
    ] = prefetching.PARALLEL,
) -> None:
    """Bring a package from the Hub to a folder, for machines without internet.

    Every shard is checked against its manifest. Run it again after an interruption, or for a newer
    state of the package: it fetches what is missing.

    Example: avmit prefetch user/avmit --config yamnet_effnet --out avmit
    """
    start = time.monotonic()
    columns = (progress.DownloadColumn(), progress.TransferSpeedColumn())
    with progress_bar("fetching", *columns) as advance:
        commit, done = prefetching.prefetch(
            repo_id, out, config, revision, advance, _say_on_stderr, parallel
        )
    print(_summary(done))
    received = format_bytes(sum(item.received for item in done))
    print(
        f"{out}: {repo_id} at {commit[:12]}, {received} in {time.monotonic() - start:.1f} s; load "
        f'it, without a network too, with load_dataset("{out}", "{done[-1].manifest.config}")'
    )


def _say_on_stderr(line: str) -> None:
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
