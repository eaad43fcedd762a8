"""Batches on their way from a worker process: all arrays in one piece of shared memory.

Each piece costs a file descriptor that is handed over a socket, which takes longer than to copy a
batch; a batch has seven arrays and more.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.extras import require

torch: Any = require("torch", "avmit.torch_loader")

_ALIGNMENT = 64
"""Bytes: no array shares a cache line with another."""


class _Place(NamedTuple):
    start: int
    end: int
    shape: tuple[int, ...]
    dtype: Any


class Packed(NamedTuple):
    """A batch: its arrays in `memory`, a tensor of bytes, and what is not an array."""

    memory: Any
    places: dict[str, _Place]
    others: dict[str, Any]


def pack(batch: Mapping[str, Any]) -> Packed:
    """Copy the arrays of a batch into one piece, which PyTorch shares when it is handed over."""
    tensors = {n: torch.from_numpy(v) for n, v in batch.items() if isinstance(v, np.ndarray)}
    places, end = {}, 0
    for name, tensor in tensors.items():
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = start + tensor.nbytes
        places[name] = _Place(start, end, tuple(tensor.shape), tensor.dtype)
    memory = torch.empty(end, dtype=torch.uint8)
    for name, tensor in tensors.items():
        _at(memory, places[name]).copy_(tensor)
    return Packed(memory, places, {n: v for n, v in batch.items() if n not in tensors})


def unpack(packed: Packed) -> dict[str, Any]:
    """Return the batch with its arrays as tensors, where they lie."""
    tensors = {name: _at(packed.memory, place) for name, place in packed.places.items()}
    return tensors | packed.others


def _at(memory: Any, place: _Place) -> Any:
    return memory[place.start : place.end].view(place.dtype).view(place.shape)
