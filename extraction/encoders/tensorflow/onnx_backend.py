"""A TensorFlow network computed by ONNX Runtime: as it was kept when it was exported, or anew."""

import itertools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import BATCH, Matrix
from extraction.encoders.base import Encoder, Samples, matrices, noise_samples
from extraction.encoders.onnx.cache import DamagedError, cache_folder, keep, look_up
from extraction.encoders.onnx.exported import ExportedNetwork, Feeding
from extraction.encoders.onnx.session import reason_of
from extraction.encoders.settings import Device
from extraction.encoders.tensorflow.export import OPSET, NotExportedError, export
from extraction.encoders.tensorflow.network import TensorFlowNetwork
from extraction.encoders.timing import least_samples
from extraction.extras import require
from extraction.media.forms import Form, Frames, Sound

FURTHEST = 1e-4
"""The most that embeddings may differ from TensorFlow's, as a part of the largest value."""

_VERSION = 2
"""Raise it when the same network is to be exported in another way."""

_LONGEST = 64
"""Seconds of sound of which an encoder gives something, if it ever does."""
_WAVEFORMS = 4
"""How many videos' sound an exported network is tried on; of frames it is a batch."""

_DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
    "keras": ("keras", "keras-nightly"),
    "tf2onnx": ("tf2onnx",),
    "onnx": ("onnx",),
}


class Exporting:
    """Finds or makes the ONNX model of an encoder whose network TensorFlow loads by `load`.

    `weights_sha256` identifies the weights where that is known before, `code` what else it is made
    of. Once the network is loaded, it is the `reference`, with which the model is compared on
    `samples`.
    """

    reference: TensorFlowNetwork | None = None

    def __init__(
        self,
        encoder: Encoder,
        device: Device,
        weights_sha256: str | None,
        code: Mapping[str, str],
        load: Callable[[], TensorFlowNetwork],
        samples: Samples,
    ):
        self._encoder = encoder
        self._device = device
        self._weights_sha256 = weights_sha256
        self._code = dict(code)
        self._load = load
        self._samples = samples

    def network(self) -> ExportedNetwork:
        """Return the network, without TensorFlow where its model is kept.

        Raises:
            NotExportedError: it cannot be exported, or what it gives then is not the same.
            AvmitError: TensorFlow cannot load it, or ONNX Runtime has not the device.
        """
        require("onnxruntime")
        identity = self._identity()
        how = "exported now"
        try:
            kept = look_up(identity)
            if kept is not None:
                return self._opened(kept.model, kept.facts, "exported before")
        except (DamagedError, KeyError, TypeError):
            how = "exported again, for what was kept of it is damaged"
        except AvmitError:
            if self._device in ("cuda", "mps"):
                raise
            how = "exported again, for what was kept of it does not load"
        return self._exported(identity, how)

    def _exported(self, identity: Mapping[str, Any], how: str) -> ExportedNetwork:
        reference = self._referred()
        function, spec = reference.graph()
        model = export(function, spec)
        facts: dict[str, Any] = {
            "feeding": asdict(self._feeding(reference, spec)),
            "export": {"opset": OPSET, **identity["versions"]},
        }
        with tempfile.TemporaryDirectory(prefix="avmit-") as folder:
            path = Path(folder, "model.onnx")
            path.write_bytes(model)
            try:
                tried = self._opened(path, {**facts, "difference": 0.0}, "")
            except AvmitError as error:
                if self._device in ("cuda", "mps") or not isinstance(error.__cause__, Exception):
                    raise
                said = reason_of(error.__cause__)
                raise NotExportedError(f"does not run by ONNX Runtime ({said})") from error
        facts["difference"] = self._difference(reference, tried)
        try:
            keep(identity, model, facts)
        except OSError as error:
            how += f", not kept ({cache_folder()}: {error.strerror or first_line(error)})"
        return self._told(tried, facts, how)

    def _referred(self) -> TensorFlowNetwork:
        """Return the network as TensorFlow computes it."""
        if self.reference is None:
            self.reference = self._load()
        return self.reference

    def _identity(self) -> dict[str, Any]:
        """Return all that a model follows from, as JSON has it."""
        encoder = self._encoder
        kind = type(encoder)
        sha256 = self._weights_sha256 or self._referred().weights_sha256
        return {
            "export": _VERSION,
            "encoder": f"{kind.__module__}.{kind.__qualname__} {encoder.name}",
            "preprocessing": encoder.preprocessing,
            "input": _taken(encoder.input),
            "output": encoder.facts.get("output"),
            "weights_sha256": sha256,
            "code": self._code,
            "opset": OPSET,
            "versions": {name: _version(names) for name, names in _DISTRIBUTIONS.items()},
        }

    def _feeding(self, reference: TensorFlowNetwork, spec: Any) -> Feeding:
        encoder = replace(self._encoder, **reference.found)
        batch, least = None, 0
        if isinstance(encoder.input, Sound):
            rate = encoder.input.rate
            if not _steps(reference, 0):
                least = least_samples(
                    lambda samples: _steps(reference, samples), 1, _LONGEST * rate
                )
        else:
            batch = spec.shape[0]
        return Feeding(
            width=encoder.width,
            side=encoder.input.side if isinstance(encoder.input, Frames) else None,
            batch=batch,
            least=least,
            window_ms=encoder.window_ms,
            step_ms=encoder.step_ms,
        )

    def _opened(self, model: Path, facts: Mapping[str, Any], how: str) -> ExportedNetwork:
        encoder = self._encoder
        feeding = Feeding(**facts["feeding"])
        sha256 = self._weights_sha256 or self._referred().weights_sha256
        network = ExportedNetwork(encoder.name, model, feeding, sha256, self._device)
        form = encoder.input
        network.found = {
            "width": feeding.width,
            "window_ms": feeding.window_ms,
            "step_ms": feeding.step_ms,
            "input": replace(form, side=feeding.side) if isinstance(form, Frames) else form,
            "libraries": ("onnxruntime",),
        }
        return self._told(network, facts, how)

    def _told(
        self, network: ExportedNetwork, facts: Mapping[str, Any], how: str
    ) -> ExportedNetwork:
        """Let the network say how it was made."""
        difference = facts["difference"]
        made = {**facts["export"], "difference": difference}
        told = {"backend": "onnx", "device": network.device, "export": made}
        network.found = {**network.found, "facts": {**self._encoder.facts, **told}}
        network.notes = (
            f"{self._encoder.name}: by ONNX Runtime on {network.device}, {how}; at most "
            f"{difference:.0e} of the largest value from TensorFlow",
        )
        return network

    def _difference(self, reference: TensorFlowNetwork, network: ExportedNetwork) -> float:
        """Return by how much the two differ on samples, in two digits.

        Raises:
            NotExportedError: by more than FURTHEST, or it does not run.
        """
        worst = 0.0
        for taken in _first_batch(self._samples, self._encoder, network):
            expected = matrices(reference.encode(taken))
            try:
                found = matrices(network.encode(taken))
            except AvmitError:
                raise
            except Exception as error:  # ONNX Runtime's have no base of their own
                said = reason_of(error)
                raise NotExportedError(f"does not run by ONNX Runtime ({said})") from error
            worst = max(worst, _apart(expected, found))
        if not worst <= FURTHEST:
            raise NotExportedError(
                f"differs from TensorFlow by {worst:.1g} of the largest value when ONNX Runtime "
                f"computes it, and {FURTHEST:g} is the most"
            )
        return float(f"{worst:.1e}")


def _first_batch(
    samples: Samples, encoder: Encoder, network: ExportedNetwork
) -> list[npt.NDArray[Any]]:
    """Return the first frames, a batch in all, or the first waveforms; noise if there are none."""
    form: Form = network.found["input"]
    every = itertools.chain(samples(form), noise_samples(form))
    if isinstance(form, Sound):
        return list(itertools.islice(every, _WAVEFORMS))
    frames = next(every)
    for more in every:
        if len(frames) >= BATCH:
            break
        frames = np.concatenate([frames, more])
    return [frames[:BATCH]]


def _apart(expected: list[Matrix], found: list[Matrix]) -> float:
    """Return the largest difference as a part of the largest value."""
    if [one.shape for one in expected] != [one.shape for one in found]:
        return float("inf")
    if not expected:
        return 0.0
    one, other = np.concatenate(expected), np.concatenate(found)
    largest, difference = float(np.abs(one).max()), float(np.abs(one - other).max())
    return difference / largest if largest else float("inf") * difference if difference else 0.0


def _steps(network: TensorFlowNetwork, samples: int) -> int:
    try:
        return len(network.encode(np.zeros(samples, np.float32)))
    except Exception:  # too short for it
        return 0


def _taken(form: Form) -> dict[str, Any]:
    return {"rate": form.rate} if isinstance(form, Sound) else {"side": form.side}


def _version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return installed_version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
