"""The command line `avmit`: the commands of the conversion and of this package."""

from typing import Annotated

import typer

from conversion import cli
from conversion.lazy import Lazy, lazy_group

COMMANDS = {
    "extract": Lazy(
        "extraction.extract.command:extract",
        "Embed your own copy of the videos, with any audio and visual encoder, into a new config.",
    ),
    "compare": Lazy(
        "extraction.compare.command:compare",
        "Compare two configs video by video, such as your extraction with the published "
        "embeddings.",
    ),
    "encoders": Lazy(
        "extraction.encoders.command:app",
        "Show the encoders that can be named, what they take, and where their weights come from.",
    ),
}

app = typer.Typer(
    cls=lazy_group({**cli.COMMANDS, **COMMANDS}),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def show_version(asked: bool) -> None:
    """Print the version and stop, if that is asked for."""
    if asked:
        from conversion.ground import VERSION  # as late as the commands

        print(f"avmit {VERSION}")
        raise typer.Exit


@app.callback()
def avmit(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Audiovisual Moments in Time (AVMIT) as a Hugging Face dataset."""


def main() -> None:
    """Run `avmit`."""
    cli.run(app)
