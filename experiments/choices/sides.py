"""Dealing source videos out to two sides, so that each class has enough clips on both."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from experiments.choices.clips import Clips
from experiments.feeding.rows.columns import Numbers

Side = npt.NDArray[np.int8]
OPEN, FIRST, SECOND = -1, 0, 1


class NotEnough(Exception):
    """A class has too few clips, or too few that can be told apart by their source."""

    def __init__(self, label: int):
        super().__init__(label)
        self.label = label


def deal(clips: Clips, first: int, second: int) -> tuple[Numbers, Numbers]:
    """Return the numbers of `first` clips a class, and of `second` others of other sources.

    Classes take their turn, those with the least to spare first. The sources of a class that are
    on no side yet go to the second side, in their random order, until it has enough: as few clips
    more than that as any choice of whole sources permits. The others go to the first.

    Raises:
        NotEnough: a class has too few for both.
    """
    side: Side = np.full(len(clips.turn), OPEN, np.int8)
    for label in np.argsort(clips.counts(), kind="stable").tolist():
        _deal_class(clips, label, first, second, side)
    chosen = []
    for number, wanted in ((FIRST, first), (SECOND, second)):
        on = np.flatnonzero(side[clips.source] == number)
        on = on[np.lexsort((clips.place[on], clips.label[on]))]
        starts = np.searchsorted(clips.label[on], np.arange(clips.classes))
        chosen.append(on[(starts[:, None] + np.arange(wanted)).ravel()])
    return chosen[0], chosen[1]


def most_of_each(clips: Clips, second: Callable[[int], int], most: int) -> int:
    """Return how many clips a class, at most so many, there can be; 0 for none.

    `second` says how many others there are to be beside so many, no fewer beside more.
    """
    low, high = 0, min(most, int(clips.counts().min()))
    while low < high:
        middle = (low + high + 1) // 2
        try:
            deal(clips, middle, second(middle))
            low = middle
        except NotEnough:
            high = middle - 1
    return low


def _deal_class(clips: Clips, label: int, first: int, second: int, side: Side) -> None:
    sources, sizes = np.unique(clips.source[clips.label == label], return_counts=True)
    there = [int(sizes[side[sources] == number].sum()) for number in (FIRST, SECOND)]
    free = side[sources] == OPEN
    sources, sizes = sources[free], sizes[free]
    order = np.argsort(clips.turn[sources], kind="stable")
    sources, sizes = sources[order], sizes[order]
    least = max(second - there[1], 0)
    most = int(sizes.sum()) + there[0] - first
    taken = _some_of(sizes.tolist(), least, most)
    if taken is None:
        raise NotEnough(label)
    side[sources] = np.where(taken, SECOND, FIRST)


def _some_of(sizes: list[int], least: int, most: int) -> list[bool] | None:
    """Choose of sizes, the first before others, so that their sum is the least there can be.

    It is from `least` to `most`; None where no sum is.
    """
    most = min(most, least + max(sizes, default=0))
    if least > most:
        return None
    # Bit s of reached[i] says that some of the sizes from i on have the sum s.
    mask = (1 << (most + 1)) - 1
    reached = [1]
    for size in reversed(sizes):
        reached.append((reached[-1] | reached[-1] << size) & mask)
    reached.reverse()
    sums = reached[0] >> least
    if not sums:
        return None
    left = least + (sums & -sums).bit_length() - 1
    taken = []
    for size, rest in zip(sizes, reached[1:], strict=True):
        take = size <= left and bool(rest >> (left - size) & 1)
        left -= size if take else 0
        taken.append(take)
    return taken
