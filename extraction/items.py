"""Items, which a network computes on in batches: frames, clips or windows of sound."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

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
