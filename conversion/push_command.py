"""`avmit push`: its options."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from huggingface_hub.utils.tqdm import disable_progress_bars

from conversion import hub
from conversion.wording import printable


def push(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
    repo_id: Annotated[str, typer.Argument(help="The dataset on the Hub, user/name.")],
    config: Annotated[
        list[str] | None, typer.Option(help="Publish only this config; may be repeated.")
    ] = None,
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
