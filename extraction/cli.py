"""The sub-commands of `avmit` that this package has."""

import typer

from extraction.compare_command import compare
from extraction.encoders_command import encoders
from extraction.extract_command import extract


def register(app: typer.Typer) -> None:
    """Add this package's commands to `app`, once."""
    there = {command.callback for command in app.registered_commands}
    for command in (extract, encoders, compare):
        if command not in there:
            app.command()(command)
