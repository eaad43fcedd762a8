"""Memory that batches of `avmit.tf_dataset` share, one after the other."""

import gc

import numpy as np

from experiments.feeding.batches.memory import Recycled


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def test_memory_is_used_again_only_when_no_view_of_it_is_left() -> None:
    new = Recycled()
    first = new((10, 20, 30))
    place = address(first)
    assert (first.shape, first.dtype.name, place % 64) == ((10, 20, 30), "float32", 0)
    view = first[2:4]
    view[...] = 7
    del first
    gc.collect()
    other = new((10, 20, 30))
    other[...] = 0
    assert address(other) != place
    assert (view == 7).all()
    del view
    gc.collect()
    assert address(new((10, 20, 29))) == place  # of somewhat another size, too


def test_arrays_of_nothing() -> None:
    assert Recycled()((3, 0, 5)).shape == (3, 0, 5)
