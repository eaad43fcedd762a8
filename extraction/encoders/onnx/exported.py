"""A network that was exported to ONNX with its preprocessing, computed by ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conversion.cores import usable_cores
from extraction.encoders.arrays import Items, Matrix, in_batches
from extraction.encoders.base import Network
from extraction.encoders.memory import Parts, gpu_batch
from extraction.encoders.onnx.session import device_of, open_session
from extraction.encoders.settings import Device

_FULL = ("failed to allocate memory", "out of memory", "bad_alloc")
_AT_ONCE = 4
"""Frames in a call on one core: EfficientNetB0 takes 12.6 ms of CPU a frame with 4, 14.3 with 8 and
17.8 with 32, and VGG16 the same with all; the memory of a call grows with them."""


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """What a network takes and gives.

    uint8 frames (`batch` or any number, side, side, 3) to (batch, width), or, with `side` None, a
    waveform to (T, width), with none of fewer samples than `least`. `window_ms` and `step_ms` are
    the encoder's.
    """

    width: int
    side: int | None
    batch: int | None
    least: int
    window_ms: float | None
    step_ms: float | None


class ExportedNetwork(Network):
    """Computes by ONNX Runtime: on a CPU, each core computes calls of its own."""

    def __init__(
        self, name: str, model: Path, feeding: Feeding, weights_sha256: str, device: Device
    ):
        # One thread a call: those of frames have `workers` threads, waveforms the decoding ones.
        self._session = open_session(model, device=device, threads=1)
        self.device = device_of(self._session)
        self.weights_sha256 = weights_sha256
        self._feeding = feeding
        self._input = self._session.get_inputs()[0].name
        on_cpu = self.device == "cpu"
        if feeding.side is not None:
            self.batch = feeding.batch or (_AT_ONCE if on_cpu else gpu_batch(feeding.side))
            self.workers = usable_cores() if on_cpu else 1
            self._parts = Parts(name, self.device, self.batch, _out_of_memory)

    def encode(self, inputs: Items) -> Matrix:
        """Return the embeddings of any number of frames, or of one waveform."""
        assert isinstance(inputs, np.ndarray)
        if self.batch:
            return np.stack(in_batches(inputs, self.batch, self._run))
        if len(inputs) < self._feeding.least:
            return np.zeros((0, self._feeding.width), np.float32)
        return self._call(inputs)

    def _run(self, frames: npt.NDArray[Any]) -> Matrix | Sequence[Matrix]:
        # A model of a fixed batch cannot be given a part of one.
        return self._call(frames) if self._feeding.batch else self._parts.run(frames, self._call)

    def _call(self, inputs: Any) -> Matrix:
        found: Matrix = self._session.run(None, {self._input: inputs})[0]
        return found


def _out_of_memory(error: Exception) -> bool:
    # ONNX Runtime's exceptions have no type for it.
    said = str(error).lower()
    return any(words in said for words in _FULL)
