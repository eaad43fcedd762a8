"""What goes into a network, items in batches, and the embeddings picked out of what it gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import printable
from extraction.encoders.settings import Modality, option

BATCH = 32
"""Items in every call of a network; larger batches of frames are not faster on CPUs, and take
more memory.

One size alone, so that an item meets the same arithmetic whatever is computed beside it. So it was
to the last bit with EfficientNetB0 and VGG16 on CPUs; other devices need not keep to that.
"""

Items = npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]
"""One array, or several by name; their first axis counts the items."""
Item = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]
Matrix = npt.NDArray[np.float32]
"""Embeddings (T, width)."""


def split(items: Items) -> list[Item]:
    """Return the items one by one."""
    if isinstance(items, Mapping):
        return [
            dict(zip(items, values, strict=True)) for values in zip(*items.values(), strict=True)
        ]
    return list(items)


def stack(items: Sequence[Item]) -> Items:
    """Put single items together again."""
    first = items[0]
    if isinstance(first, dict):
        return {name: np.stack([item[name] for item in items]) for name in first}
    return np.stack(items)  # type: ignore[arg-type]


def in_batches(items: Items, size: int, run: Callable[[Any], Any]) -> list[npt.NDArray[np.float32]]:
    """Run items through a network, `size` at a time; the last batch is filled up with its first.

    One size alone, so that an item meets the same arithmetic whatever is computed beside it.
    """
    single = split(items)
    done: list[Matrix] = []
    for start in range(0, len(single), size):
        some = single[start : start + size]
        full = [*some, *[some[0]] * (size - len(some))]
        done.extend(list(run(stack(full)))[: len(some)])
    return done


def by_name(returned: Any, within: str = "") -> dict[str, Any]:
    """Return the arrays that a call gave by name, or by number where outputs have no names.

    One inside another is named by both, as `scores/0`.
    """
    if isinstance(returned, Mapping):
        parts = list(returned.items())
    elif isinstance(returned, Sequence):
        parts = list(enumerate(returned))
    else:
        return {within or "0": returned} if hasattr(returned, "shape") else {}
    found: dict[str, Any] = {}
    for name, part in parts:
        found |= by_name(part, f"{within}/{name}" if within else str(name))
    return found


def pick(outputs: Mapping[str, Any], wanted: str | None, what: str, modality: Modality) -> str:
    """Return the name of the output `wanted`, an index or a name, or of the only one.

    Raises:
        AvmitError: there is no such one, or there are several and none is named.
    """
    names = list(outputs)
    if wanted in outputs:
        return str(wanted)
    if wanted is not None and wanted.isdecimal() and int(wanted) < len(names):
        return names[int(wanted)]
    if wanted is None and len(names) == 1:
        return names[0]
    listed = printable(", ".join(f"{name} {_shape(output)}" for name, output in outputs.items()))
    how = f"no output '{wanted}'" if wanted is not None else f"{len(names)} outputs"
    raise AvmitError(
        f"{what} has {how}; there are {listed}: pick one with {option(modality, 'output')}"
    )


def _shape(output: Any) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in tuple(output.shape))
    return f"({sizes})"
