"""Commands that are imported when they run, so that help and mistyped names are told at once."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class Lazy:
    """Where a command is, as `module:name`, and the first line of its help.

    The name is of a function, or of a `typer.Typer` with commands of its own.
    """

    where: str
    help: str

    def load(self, name: str) -> Any:
        """Import the command, and return it under `name`."""
        module, attribute = self.where.split(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command = get_command(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(name)(found)
            command = get_command(alone)
        command.name = name
        return command


class _Placeholder(TyperCommand):
    """Stands in a group's help for a command, and becomes it when it is to run."""

    def __init__(self, name: str, lazy: Lazy):
        super().__init__(name=name, help=lazy.help)
        self._lazy = lazy

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Return the context of the command itself, which is then what is invoked."""
        return self._lazy.load(self.name or "").make_context(*arguments, **more)


def lazy_group(commands: dict[str, Lazy]) -> type[TyperGroup]:
    """Return the `cls` of a `typer.Typer` that has `commands`, by name."""

    class Group(TyperGroup):
        """A group that has them beside its own."""

        def __init__(self, **attrs: Any):
            super().__init__(**attrs)
            for name, lazy in commands.items():
                self.add_command(_Placeholder(name, lazy))

    return Group
