"""Arrays that start where frameworks take them without a copy."""

import threading
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64
"""Bytes: TensorFlow and JAX take an array that starts at a multiple of it without a copy."""


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return an uninitialized array that starts at a multiple of 64 bytes."""
    size = np.dtype(dtype).itemsize * int(np.prod(shape))
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def as_aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array that starts so: this one, or a copy."""
    if array.ctypes.data % _ALIGNMENT == 0 and array.flags.c_contiguous and array.flags.writeable:
        return array
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


class Recycled:
    """Makes float32 arrays of memory that earlier ones left, once nobody holds them any longer.

    New memory costs more than filling it, where a framework frees it in a thread of its own: the
    system takes its pages back, and clears them again.
    """

    _GRAIN = 2**16
    """Sizes are rounded up to it, so that batches of somewhat other lengths share memory."""
    _KEPT = 4
    """Pieces of a size that are kept for later: as many as batches are on their way."""

    def __init__(self) -> None:
        self._free: dict[int, list[Any]] = {}
        self._lock = threading.RLock()  # the collector may call back while it is held

    def __call__(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return an uninitialized array of this shape that starts at a multiple of 64 bytes."""
        count = int(np.prod(shape))
        size = -(-4 * count // self._GRAIN) * self._GRAIN
        with self._lock:
            free = self._free.setdefault(size, [])
            memory: Any = free.pop() if free else aligned((size,), np.uint8)
        # A view of a memory view, which all views of it keep alive, as they do no view of an array.
        array = np.frombuffer(memoryview(memory), np.float32, count)
        weakref.finalize(array, self._take_back, size, memory).atexit = False
        return array.reshape(shape)

    def _take_back(self, size: int, memory: Any) -> None:
        with self._lock:
            if len(self._free[size]) < self._KEPT:
                self._free[size].append(memory)
