"""Batches as large as the memory allows."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avmit import AvmitError
from extraction.encoders.arrays import BATCH, Items, Matrix
from extraction.media.frames import FRAME_SIDE

_GPU_TIMES = 8
"""How many batches of a CPU, of frames of FRAME_SIDE, a GPU gets in one: it is quicker than calls
follow one another."""


def gpu_batch(side: int) -> int:
    """Return how many frames of that side go into a call on a GPU: as many pixels for each side."""
    times = _GPU_TIMES * FRAME_SIDE**2 // side**2
    return BATCH << (max(1, min(times, _GPU_TIMES)).bit_length() - 1)


class Parts:
    """Computes batches in parts that fit into the memory: halved where one does not, and told.

    `is_full` tells whether an exception says so, and `clear` gives back what is not used.
    """

    def __init__(
        self,
        name: str,
        device: str,
        batch: int,
        is_full: Callable[[Exception], bool],
        clear: Callable[[], None] = lambda: None,
    ):
        self._name = name
        self._device = device
        self._batch = batch
        self._at_once = batch
        self._is_full = is_full
        self._clear = clear
        self._halving = threading.Lock()

    def run(
        self, items: Items, compute: Callable[[Any], Matrix | Sequence[Matrix]]
    ) -> list[Matrix]:
        """Compute one full batch.

        Raises:
            AvmitError: a single item is too much for the memory.
        """
        done: list[Matrix] = []
        while len(done) < self._batch:
            size = self._at_once
            try:
                done.extend(compute(_part(items, len(done), size)))
            except Exception as error:
                if not self._is_full(error):
                    raise
                with self._halving:
                    self._halve(size)
        return done

    def _halve(self, before: int) -> None:
        if self._at_once < before:
            return  # another thread has done it
        if before == 1:
            raise AvmitError(
                f"{self._name}: {self._device} has not enough memory for a single item; take "
                "another --device or a smaller model"
            )
        self._at_once = before // 2
        self._clear()
        print(
            f"avmit: {self._name}: out of memory with {before} at a time, "
            f"going on with {self._at_once}",
            file=sys.stderr,
        )


def _part(items: Items, start: int, size: int) -> Items:
    if isinstance(items, Mapping):
        return {name: values[start : start + size] for name, values in items.items()}
    return items[start : start + size]
