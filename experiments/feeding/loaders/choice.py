"""Which entries of a batch go into a network and which are its targets."""

from collections.abc import Mapping, Sequence
from typing import Any

from avmit import AvmitError

Names = str | Sequence[str]


class Choice:
    """Inputs and targets of a network, by the names that they have in a batch.

    One name is a tensor by itself, several are a dict of tensors.
    """

    def __init__(self, inputs: Names, targets: Names | None):
        self._inputs = inputs
        self._targets = targets

    @property
    def names(self) -> list[str]:
        """The names of all of them, each once."""
        both = [*_every(self._inputs), *_every(self._targets or ())]
        return list(dict.fromkeys(both))

    def check(self, there: Sequence[str]) -> None:
        """Refuse names that are not in a batch.

        Raises:
            AvmitError: one is not, or none is given.
        """
        for what, names in (("inputs", self._inputs), ("targets", self._targets)):
            if names is None:
                continue
            every = _every(names)
            unknown = [name for name in every if name not in there]
            if unknown or not every:
                raise AvmitError(
                    f"{what}={names!r}: a batch has no {', '.join(map(repr, unknown)) or 'such'}; "
                    f"it has: {', '.join(there)}"
                )

    def of(self, batch: Mapping[str, Any]) -> Any:
        """Return (inputs, targets) of a batch, or inputs alone where there are no targets."""
        inputs = _taken(batch, self._inputs)
        return inputs if self._targets is None else (inputs, _taken(batch, self._targets))


def _taken(batch: Mapping[str, Any], names: Names) -> Any:
    return batch[names] if isinstance(names, str) else {name: batch[name] for name in names}


def _every(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
