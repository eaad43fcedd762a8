"""The commands that this package has, how any is run, and what its failure looks like."""

import errno
import io
import signal
import sys
from typing import Annotated

import typer

from conversion.lazy import Lazy, lazy_group
from conversion.stopped import Stopped

COMMANDS = {
    "download": Lazy(
        "conversion.zenodo.command:download",
        "Download the release from Zenodo, each file checked against its md5.",
    ),
    "convert": Lazy(
        "conversion.convert.command:convert",
        "Turn a release as downloaded into a hub package.",
    ),
    "verify": Lazy(
        "conversion.verify.command:verify",
        "Check a package: checksums, card, rows, values, and the paper's counts.",
    ),
    "export": Lazy(
        "conversion.convert.command:export",
        "Write a config as the release publishes it: one gzip TFRecord per video, by label.",
    ),
    "push": Lazy(
        "conversion.hub.command:push",
        "Publish a package on the Hugging Face Hub, or bring it up to date there, in one commit.",
    ),
    "prefetch": Lazy(
        "conversion.hub.command:prefetch",
        "Bring a package from the Hub to a folder, for machines without internet.",
    ),
    "info": Lazy(
        "conversion.package.command:info",
        "Show a package's configs, splits, rows, widths, sizes and provenance.",
    ),
    "index": Lazy(
        "conversion.package.index.command:index",
        "Write where in the shards their record batches and columns lie, for streams to read.",
    ),
    "card": Lazy(
        "conversion.card.command:card",
        "Write a package's dataset card, README.md, from what the folder holds.",
    ),
    "finish": Lazy(
        "conversion.parts.command:finish",
        "Put together what tasks with --shards have made: the configs and the card appear at once.",
    ),
    "jobs": Lazy(
        "conversion.executors.command:jobs",
        "Show what of a run on many machines is done, running, queued or failed, and why.",
    ),
    "demo": Lazy(
        "conversion.convert.command:demo",
        "Generate a small release, convert it, load it and stream it.",
    ),
}


def run(commands: dict[str, Lazy]) -> None:
    """Run `avmit` with these commands; what the user can mend is one line on stderr and code 1."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)  # as schedulers end what is to go on elsewhere
    _escape_what_cannot_be_encoded()
    app = typer.Typer(
        cls=lazy_group(commands), no_args_is_help=True, pretty_exceptions_enable=False
    )
    app.callback()(avmit)
    try:
        app(prog_name="avmit")
    except Stopped as stopped:
        print(f"avmit: {str(stopped) or 'interrupted; run again to go on'}", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        _fail(_mendable(error))


def show_version(asked: bool) -> None:
    """Print the version and stop, if that is asked for."""
    if asked:
        from conversion.ground import VERSION  # as late as the commands

        print(f"avmit {VERSION}")
        raise typer.Exit


def avmit(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Audiovisual Moments in Time (AVMIT) as a Hugging Face dataset."""


def _mendable(error: Exception) -> str:
    """Return the line that tells of what the user can mend; raise what is no such thing."""
    # Not imported before: `datasets`, which avmit needs, takes longer than the help of a command.
    from avmit import AvmitError
    from conversion.spelled import at_command_line

    if isinstance(error, AvmitError):
        return at_command_line(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: make room and run again; what was finished is kept"
    raise error


def _interrupt(*_: object) -> None:
    raise Stopped


def _escape_what_cannot_be_encoded() -> None:
    """Let output whose encoding lacks a character, such as ASCII, show it as `\\xe9`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(line: str) -> None:
    from conversion.wording import printable  # as late as above

    print(f"avmit: {printable(line)}", file=sys.stderr)
    sys.exit(1)
