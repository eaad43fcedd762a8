"""The sub-commands of `avmit` that this package has."""

import errno
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn

from avmit import AvmitError
from conversion import demo as demonstration
from conversion.card import write_card
from conversion.convert_command import convert
from conversion.download_command import download
from conversion.export_command import export
from conversion.info import describe
from conversion.prefetch_command import prefetch
from conversion.push_command import push
from conversion.terminal import Rate, progress_bar
from conversion.verify_command import verify

app = typer.Typer(
    help="Audiovisual Moments in Time (AVMIT) as a Hugging Face dataset.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (download, convert, verify, export, push, prefetch):
    app.command()(command)


def run() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit code 1."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except AvmitError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _fail("the disk is full: make room and run again; what was finished is kept")
    except _Interrupted:
        print("avmit: interrupted; run again to go on", file=sys.stderr)
        sys.exit(130)


class _Interrupted(BaseException):
    """Ctrl-C, under a name that typer does not catch on the way to `run`."""


def _interrupt(*_: object) -> None:
    raise _Interrupted


def _fail(line: str) -> None:
    print(f"avmit: {line}", file=sys.stderr)
    sys.exit(1)


@app.command()
def info(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
) -> None:
    """Show a package's configs, splits, rows, widths, sizes and provenance.

    Example: avmit info avmit
    """
    table, provenance = describe(package)
    Console().print(table)
    print("\n".join(provenance))


@app.command()
def card(
    package: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a hub package.")],
) -> None:
    """Write a package's dataset card, README.md, from what the folder holds.

    In a card that is there, only what stands between avmit's marks, and avmit's own YAML, is
    written again; the rest is yours.

    Example: avmit card avmit
    """
    changed = write_card(package)
    print(f"{package / 'README.md'} {'written' if changed else 'is up to date'}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the generated package.")] = Path("avmit"),
) -> None:
    """Generate a small release, convert it, load it and stream it.

    Example: avmit demo --out demo/avmit
    """
    with progress_bar("converting", MofNCompleteColumn(), Rate("records")) as progress:
        for line in demonstration.run_demo(out, progress):
            print(line, flush=True)
