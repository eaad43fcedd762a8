"""A PyTorch model of transformers at work: device, precision, batches, pooling."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from extraction.encoders.arrays import Items, Matrix, in_batches
from extraction.encoders.base import Network
from extraction.encoders.memory import Parts
from extraction.encoders.transformers.files import EXTRA
from extraction.extras import require

Tensors = Mapping[str, Any]
Pool = Callable[[Any, Tensors], Any]


def device(wanted: str) -> str:
    """Return the device to compute on; `auto` is the first of cuda and mps that there is, or cpu.

    Raises:
        AvmitError: there is none of that kind.
    """
    torch = require("torch", EXTRA)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next((name for name, usable in there.items() if usable), "cpu")
    if not there.get(wanted, True):
        raise AvmitError(f"--device {wanted}: PyTorch finds none here; --device auto takes what is")
    return wanted


class TorchNetwork(Network):
    """Runs a model on `batch` items a call; `prepare` makes these, and `pool` takes what it gives.

    `method` is the one of the model's methods that is called, None for the model itself.
    """

    pool: Pool

    def __init__(
        self,
        name: str,
        model: Any,
        prepare: Callable[[npt.NDArray[Any]], Items],
        *,
        method: str | None,
        batch: int,
        device: str,
        dtype: Any,
        weights_sha256: str,
    ):
        torch = require("torch", EXTRA)
        self.model = model.to(device)
        self._forward = self.model if method is None else getattr(self.model, method)
        self.batch = batch
        self.weights_sha256 = weights_sha256
        self._name = name
        self._prepare = prepare
        self._device = device
        self._dtype = dtype
        clear = torch.cuda.empty_cache if device == "cuda" else lambda: None
        self._parts = Parts(name, device, batch, _out_of_memory, clear)
        # Cores that each compute a batch never wait for each other, nor for one that decodes.
        self.workers = torch.get_num_threads() if device == "cpu" else 1

    def prepare(self, taken: npt.NDArray[Any]) -> Items:
        """Return what the model's own processor makes of a video's frames or sound."""
        return self._prepare(taken)

    def start_worker(self) -> None:
        """Let the calling thread compute alone."""
        require("torch", EXTRA).set_num_threads(1)

    def encode(self, inputs: Items) -> list[Matrix]:
        """Return the embeddings of any number of items.

        Raises:
            AvmitError: a single item is too much for the memory, or they are not numbers.
        """
        found = in_batches(inputs, self.batch, lambda items: self._parts.run(items, self._compute))
        if not all(np.isfinite(one).all() for one in found):
            raise AvmitError(
                f"{self._name} gives values that are no numbers: take --precision float32"
            )
        return found

    def _compute(self, part: Items) -> Sequence[Matrix]:
        assert isinstance(part, Mapping)
        output, tensors = self.call(part)
        return [one.float().cpu().numpy() for one in self.pool(output, tensors)]

    def call(self, items: Mapping[str, npt.NDArray[Any]]) -> tuple[Any, Tensors]:
        """Return what the model gives for items, and the tensors that it was given."""
        torch = require("torch", EXTRA)
        tensors = {}
        for name, value in items.items():
            tensor = torch.from_numpy(np.ascontiguousarray(value)).to(self._device)
            tensors[name] = tensor.to(self._dtype) if tensor.is_floating_point() else tensor
        with torch.inference_mode():
            return self._forward(**tensors), tensors


def _out_of_memory(error: Exception) -> bool:
    torch = require("torch", EXTRA)
    # The CPU's allocator and MPS raise a plain RuntimeError.
    told = isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "out of memory")
    )
    return isinstance(error, torch.OutOfMemoryError) or told
