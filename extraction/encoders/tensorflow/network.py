"""TensorFlow networks: the device that they are computed on, and what is exported of them."""

import contextlib
import os
import sys
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from avmit import AvmitError
from extraction.encoders.base import Network
from extraction.extras import require

_GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"


def tensorflow() -> Any:
    """Return TensorFlow, which of the GPUs takes the first, as much of its memory as it needs, and
    computes in float32.

    TF_FORCE_GPU_ALLOW_GROWTH in the environment stands for the memory.

    Raises:
        AvmitError: it is not installed.
    """
    tf = require("tensorflow")
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        # NVIDIA's 19 bits in place of float32 would be a thousandth off.
        tf.config.experimental.enable_tensor_float_32_execution(False)
    with contextlib.suppress(RuntimeError):  # it computes already
        # It would take memory on every GPU that CUDA_VISIBLE_DEVICES leaves, and use the first.
        tf.config.set_visible_devices(gpus[:1], "GPU")
        if _GROWTH not in os.environ:
            for gpu in gpus[:1]:
                tf.config.experimental.set_memory_growth(gpu, True)
    return tf


def device(wanted: str) -> str:
    """Return the device to compute on; `auto` is the GPU that TensorFlow sees, or else cpu.

    Raises:
        AvmitError: there is none of that kind.
    """
    tf = tensorflow()
    gpu = "mps" if sys.platform == "darwin" else "cuda"
    there = {gpu} if tf.config.list_physical_devices("GPU") else set()
    if wanted == "auto":
        return next(iter(there), "cpu")
    if wanted != "cpu" and wanted not in there:
        raise AvmitError(
            f"--device {wanted}: TensorFlow finds none here; --device auto takes what is"
        )
    return wanted


def place(device: str) -> AbstractContextManager[None]:
    """Return the context in which TensorFlow puts on a device what it makes and computes."""
    placed: AbstractContextManager[None] = require("tensorflow").device(
        "/CPU:0" if device == "cpu" else "/GPU:0"
    )
    return placed


class TensorFlowNetwork(Network):
    """A network of TensorFlow, with its preprocessing."""

    def __init__(self, device: str):
        self.device = device

    def placed(self) -> AbstractContextManager[None]:
        """Return the context in which all is put on its device."""
        return place(self.device)

    @abstractmethod
    def graph(self) -> tuple[Callable[[Any], Any], Any]:
        """Return what can be exported: a function of one tensor, and the TensorSpec of that.

        It maps uint8 frames (batch, side, side, 3) to float32 (batch, width), or a float32 waveform
        (N,) to (T, width); sizes that may vary are None.
        """
