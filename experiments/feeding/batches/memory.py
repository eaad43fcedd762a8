"""Arrays that start where frameworks take them without a copy."""

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
