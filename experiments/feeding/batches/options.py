"""What `avmit.batches` and the loaders can be asked for, checked."""

import operator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from avmit import AvmitError
from conversion.spelled import argument, spelled
from experiments.feeding.batches.order import LARGEST

Layout = Literal["padded", "jagged"]
Format = Literal["numpy", "torch", "tensorflow", "jax"]
OnLong = Literal["error", "truncate"]


@dataclass(frozen=True)
class BatchOptions:
    """How rows are put together, and which of them come when.

    Raises:
        AvmitError: a value is out of its range.
    """

    batch_size: int = 32
    timesteps: int | None = None
    layout: Layout = "padded"
    shuffle: bool = False
    seed: int = 0
    epoch: int = 0
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1
    format: Format = "numpy"
    on_long: OnLong = "error"

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "seed": 0, "epoch": 0, "world_size": 1, "rank": 0}
        for name, low in least.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), low))
        if self.timesteps is not None:
            object.__setattr__(self, "timesteps", whole_number("timesteps", self.timesteps, 1))
        if self.rank >= self.world_size:
            raise AvmitError(
                f"rank={self.rank} of world_size={self.world_size}: ranks count from 0 to "
                f"{self.world_size - 1}"
            )
        for name, kinds in (("layout", Layout), ("format", Format), ("on_long", OnLong)):
            if getattr(self, name) not in get_args(kinds):
                raise AvmitError(
                    f"{name}={getattr(self, name)!r}: it is one of {', '.join(get_args(kinds))}"
                )
        if self.layout == "jagged" and self.timesteps is not None:
            raise AvmitError(
                f"timesteps={self.timesteps} pads, and layout='jagged' does not: leave one out"
            )


def whole_number(name: str, value: Any, least: int) -> int:
    """Return an option as an int of Python's, of whatever kind it is, NumPy's for one.

    Raises:
        AvmitError: it is not a whole number, or out of its range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise AvmitError(spelled(argument(name, value), " is not a whole number")) from None
    if isinstance(value, bool) or number < least:
        raise AvmitError(spelled(argument(name, value), f": it is a whole number from {least} on"))
    if number > LARGEST:
        raise AvmitError(spelled(argument(name, value), f": it is at most {LARGEST}, 2**64 - 1"))
    return number
