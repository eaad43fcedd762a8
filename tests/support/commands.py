"""What a run of the command leaves; the fixture `run` gives it."""

from collections.abc import Callable
from typing import NamedTuple


class Ran(NamedTuple):
    """What a run of the command left."""

    code: object
    out: str
    err: str


Run = Callable[..., Ran]
