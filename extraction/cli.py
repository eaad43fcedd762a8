"""The sub-commands of `avmit` that this package has."""

import typer

from extraction import encoders_command
from extraction.compare_command import compare
from extraction.extract_command import extract


def register(app: typer.Typer) -> None:
    """Add this package's commands to `app`, once."""
    there = {command.callback for command in app.registered_commands}
    for command in (extract, compare):
        if command not in there:
            app.command()(command)
    if encoders_command.app not in [group.typer_instance for group in app.registered_groups]:
        app.add_typer(encoders_command.app, name="encoders")
