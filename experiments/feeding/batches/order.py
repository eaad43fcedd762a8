"""The order of an epoch, a pure function of (seed, epoch), and who gets which batch of it."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from experiments.feeding.rows.columns import Numbers

LARGEST = 2**64 - 1
"""The largest seed and epoch: each is one word of the generator's key."""


@lru_cache(maxsize=2)
def permutation(length: int, seed: int, epoch: int) -> Numbers:
    """Return the numbers 0 to `length` - 1 in the order of this epoch.

    The raw 64-bit output of the Philox-4x64-10 generator (Salmon et al. 2011), with the key (seed,
    epoch), gives each number a word; they are sorted by it. NumPy promises that the words of a bit
    generator stay what they are, as it does not of its `Generator.permutation`.
    """
    order = shuffled(length, seed, epoch)
    order.flags.writeable = False
    return order


def shuffled(length: int, seed: int, epoch: int, part: int = 0) -> Numbers:
    """Return the numbers 0 to `length` - 1 in an order of their own for each part of an epoch.

    `part` is the last of the generator's four counter words, so that no two parts share words.
    """
    return np.argsort(words(length, seed, epoch, part), kind="stable").astype(np.int64)


def words(length: int, seed: int, epoch: int, part: int) -> npt.NDArray[np.uint64]:
    """Return the generator's words for a part of an epoch."""
    key = np.array([seed, epoch], np.uint64)
    counter = np.array([0, 0, 0, part], np.uint64)
    raw: npt.NDArray[np.uint64] = np.random.Philox(key=key, counter=counter).random_raw(length)
    return raw


def batch_count(length: int, batch_size: int, drop_last: bool, rank: int, world_size: int) -> int:
    """Return how many batches of an epoch a rank gets.

    The batches of the whole epoch go to the ranks in turn. With `drop_last` all of them are full
    and each rank gets as many as the others.
    """
    if drop_last:
        return length // batch_size // world_size
    return (-(-length // batch_size) - rank + world_size - 1) // world_size


def batch_bounds(
    length: int, batch_size: int, rank: int, world_size: int, position: int
) -> tuple[int, int]:
    """Return where in the epoch's order a rank's batch number `position` starts and ends."""
    start = (position * world_size + rank) * batch_size
    return start, min(start + batch_size, length)
