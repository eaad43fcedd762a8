"""Where one is in the epochs: all that a run must keep to go on with the next batch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from avmit import AvmitError
from experiments.feeding.batches.options import BatchOptions


@dataclass
class Position:
    """The next batch of a rank: number `position`, from 0, of this epoch and seed."""

    seed: int
    epoch: int
    position: int = 0

    def state(self) -> dict[str, int]:
        """Return it as plain numbers."""
        return asdict(self)

    def load(self, state: Mapping[str, Any], batches: int) -> None:
        """Take over what `state` returned.

        Raises:
            AvmitError: it is not that, or is behind the last of the epoch's `batches`.
        """
        if not isinstance(state, Mapping) or set(state) != set(asdict(self)):
            raise AvmitError("this is not a state: give what state_dict() returned")
        BatchOptions(seed=state["seed"], epoch=state["epoch"])  # checks them
        position = state["position"]
        if isinstance(position, bool) or not isinstance(position, int) or position < 0:
            raise AvmitError(f"position={position!r} is not a number of batches")
        if position > batches:
            raise AvmitError(
                f"position={position}, and an epoch has {batches} batches: the state is of other "
                "rows, another batch_size or another world_size"
            )
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], position

    def start_of(self, epoch: int) -> None:
        """Go to the first batch of an epoch.

        Raises:
            AvmitError: there is no such epoch.
        """
        self.epoch, self.position = BatchOptions(epoch=epoch).epoch, 0
