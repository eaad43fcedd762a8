"""Encoders that TensorFlow defines, computed by it or by ONNX Runtime."""

import os
import sys
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from avmit import AvmitError
from extraction.encoders.base import Encoder, Network, Samples, weights_digest
from extraction.encoders.settings import Backend, Device, Settings
from extraction.encoders.tensorflow.export import NotExportedError, missing_packages
from extraction.encoders.tensorflow.network import TensorFlowNetwork, device
from extraction.encoders.tensorflow.onnx_backend import Exporting

OPTIONS = frozenset({"backend", "device"})


@dataclass(frozen=True, kw_only=True)
class TensorFlowEncoder(Encoder):
    """An encoder that TensorFlow defines, and computes unless ONNX Runtime does.

    `backend` auto is ONNX Runtime where it is installed, the device is a CPU and the network can be
    exported; otherwise TensorFlow.
    """

    takes: frozenset[str] = OPTIONS | {"weights"}
    backend: Backend = "auto"
    device: Device = "auto"

    def configured(self, settings: Settings) -> "TensorFlowEncoder":
        """Return this encoder with what is to compute it."""
        if (self.backend, self.device) == (settings.backend, settings.device):
            return self
        return replace(self, backend=settings.backend, device=settings.device)

    @abstractmethod
    def load(self, weights: Path | None) -> TensorFlowNetwork:
        """Load the network into TensorFlow, from `weights` or else from `origin`."""

    @abstractmethod
    def find_weights(self, weights: Path | None) -> Path | None:
        """Return the file or folder of the weights, fetched if need be, without TensorFlow.

        None says that only the loaded network knows what it computes with.
        """

    def code(self) -> Mapping[str, str]:
        """Return digests of code beyond this package's that the network is made of, by name."""
        return {}

    def loaded(self, weights: Path | None, samples: Samples) -> Network:
        """Load the network as `backend` and `device` say.

        Raises:
            AvmitError: as `load` does, or it is to be computed by ONNX Runtime and cannot be.
        """
        if self.backend == "tensorflow":
            return self._by_tensorflow(self.load(weights))
        if self.backend == "auto" and (why := self._why_tensorflow()) is not None:
            return self._by_tensorflow(self.load(weights), why)
        on: Device = "cpu" if self.backend == "auto" else self.device
        found = self.find_weights(weights)
        sha256 = None if found is None else weights_digest(found)
        # ONNX Runtime may have a GPU that TensorFlow has not.
        plain = replace(self, device="cpu" if on == "cpu" else "auto")
        exporting = Exporting(
            self, on, sha256, self.code(), lambda: plain.load(found or weights), samples
        )
        try:
            return exporting.network()
        except NotExportedError as error:
            if self.backend == "onnx":
                raise AvmitError(f"{self.name} {error}: take --backend tensorflow") from error
            loaded = exporting.reference or plain.load(found or weights)
            return self._by_tensorflow(loaded, f", for it {error}")

    def _why_tensorflow(self) -> str | None:
        """Say why ONNX Runtime is no choice; None if it is, often without TensorFlow.

        The words go on after "by TensorFlow on cpu".
        """
        if missing_packages():
            return "; pip install 'avmit[extraction]' for ONNX Runtime, which is faster on CPUs"
        if self.device == "cpu" or (self.device == "auto" and not _may_have_gpu()):
            return None
        return None if device(self.device) == "cpu" else ""

    def _by_tensorflow(self, network: TensorFlowNetwork, why: str = "") -> Network:
        facts = {**self.facts, **network.found.get("facts", {})}
        how = {"backend": "tensorflow", "device": network.device}
        network.found = {**network.found, "facts": {**facts, **how}}
        network.notes = (f"{self.name}: by TensorFlow on {network.device}{why}",)
        return network


def _may_have_gpu() -> bool:
    """Tell whether TensorFlow should be asked for GPUs: loading it takes seconds."""
    if sys.platform == "darwin":
        try:
            return bool(installed_version("tensorflow-metal"))
        except PackageNotFoundError:
            return False
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    devices = Path("/dev")
    # Of NVIDIA's driver, AMD's, and Windows' for Linux.
    return any(any(devices.glob(name)) for name in ("nvidia[0-9]*", "kfd", "dxg"))
