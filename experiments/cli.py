"""The commands that this package has."""

from conversion.lazy import Lazy

COMMANDS: dict[str, Lazy] = {}
