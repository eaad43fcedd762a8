"""Going through epochs, and where one is in them: all that a run must keep to go on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from avmit import AvmitError
from experiments.feeding.batches.options import whole_number
from experiments.feeding.batches.order import LARGEST


@dataclass(frozen=True)
class Position:
    """The next batch of a rank: number `position`, from 0, of this epoch and seed.

    Raises:
        AvmitError: one of them is out of its range.
    """

    seed: int
    epoch: int
    position: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            object.__setattr__(self, name, whole_number(name, value, 0))


class Epochs(ABC):
    """What goes through an epoch of batches each time it is iterated over.

    When all batches of an epoch were given, the next iteration is of the next one; what was left
    early begins anew, unless `load_state_dict` says where to go on.
    """

    _counts = "batches"
    """What a position counts."""

    def __init__(self, seed: int, epoch: int):
        self._at = Position(seed, epoch)
        self._resumed = False
        self._iteration = 0

    @abstractmethod
    def _most(self, at: Position) -> int | None:
        """Return how many batches the epoch of `at` has, None where that is not known."""

    @abstractmethod
    def __iter__(self) -> Generator[dict[str, Any], None, None]:
        """Go through an epoch."""

    def _through(
        self, batches: Callable[[Position], Iterable[dict[str, Any]]]
    ) -> Generator[dict[str, Any], None, None]:
        """Yield the batches from a position on, and keep count of them."""
        at = self._next()
        self._at, self._resumed = at, False
        self._iteration += 1
        mine = self._iteration
        position = at.position
        for batch in batches(at):
            position += 1
            if mine == self._iteration:
                self._at = Position(at.seed, at.epoch, position)
            yield batch
            del batch  # while the next one is waited for
        if mine == self._iteration:
            self._at = Position(at.seed, _after(at.epoch))

    def _next(self) -> Position:
        """Return where the next iteration begins."""
        at = self._at
        if self._resumed:
            return at
        # Who counts batches, as `model.fit` does, never asks for the one after the last.
        done = at.position > 0 and at.position == self._most(at)
        return Position(at.seed, _after(at.epoch) if done else at.epoch)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be of this epoch.

        Raises:
            AvmitError: there is no such epoch.
        """
        self._go_to(Position(self._at.seed, epoch))

    def state_dict(self) -> dict[str, int]:
        """Return where the last iteration is: seed, epoch, and its batches that were given."""
        return asdict(self._at)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration go on where `state_dict` was called.

        The batches are those that would have come then, if rows, options and number of ranks are
        the same.

        Raises:
            AvmitError: it is not a state, or one of other rows or options.
        """
        if not isinstance(state, Mapping) or set(state) != set(asdict(self._at)):
            raise AvmitError("this is not a state: give what state_dict() returned")
        at = Position(**state)
        most = self._most(at)
        if most is not None and at.position > most:
            raise AvmitError(
                f"position={at.position}, and an epoch has {most} {self._counts}: the state is of "
                "other rows, another batch_size or another world_size"
            )
        self._go_to(at)
        self._resumed = True

    def _go_to(self, at: Position) -> None:
        self._at, self._resumed = at, False
        self._iteration += 1


def _after(epoch: int) -> int:
    return epoch + 1 if epoch < LARGEST else 0
