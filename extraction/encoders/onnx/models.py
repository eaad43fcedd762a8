"""`onnx:` encoders: any ONNX model of frames or of sound, run by ONNX Runtime alone."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.cores import usable_cores
from conversion.package.manifest import sha256_of
from extraction.encoders.arrays import Matrix
from extraction.encoders.base import Encoder, Network
from extraction.encoders.onnx.feed import Feed, feed_of
from extraction.encoders.onnx.network import OnnxNetwork, WholeSound
from extraction.encoders.onnx.outputs import Rows, choose
from extraction.encoders.onnx.session import (
    EXTRA,
    device_of,
    open_session,
    reason_of,
)
from extraction.encoders.onnx.source import Model, find_model
from extraction.encoders.settings import Modality, Settings
from extraction.media.forms import Frames, Sound, timing_ms

_BATCH, _GPU_BATCH = 8, 64
"""Items in a call on one core, where more are not faster, and on a GPU."""


def onnx_encoder(rest: str, modality: Modality | None, settings: Settings) -> Encoder:
    """Return the encoder `onnx:<rest>`; its weights are loaded when it is opened.

    Raises:
        AvmitError: there is no such model, or it takes what is not wanted or cannot be given.
    """
    model = find_model(rest)
    feed = feed_of(model, modality, settings)
    window_ms, step_ms = timing_ms(feed.form)
    return OnnxEncoder(
        name=model.name,
        width=0,
        input=feed.form,
        window_ms=window_ms,
        step_ms=step_ms,
        origin=model.origin,
        preprocessing=feed.preprocessing,
        libraries=("onnxruntime",),
        extra=EXTRA,
        takes=feed.takes | {"output", "device"} | ({"pooling"} if feed.batch != 0 else set()),
        facts={} if model.revision is None else {"revision": model.revision},
        model=model,
        feed=feed,
        settings=settings,
    )


@dataclass(frozen=True, kw_only=True)
class OnnxEncoder(Encoder):
    """An ONNX model, how it is fed, and what was asked of it."""

    model: Model
    feed: Feed
    settings: Settings

    def load(self, weights: Path | None) -> Network:
        """Open the model, and run it to find out width, pooling and timing."""
        # One thread computes a batch, so its numbers are the same on any number of cores.
        session = open_session(self.model.path, device=self.settings.device, threads=1)
        device = device_of(session)
        wanted = self.settings.output
        output, declared = choose(session.get_outputs(), wanted, self.name, self.modality)
        rows = Rows(self.name, output, self.modality, self.settings, self.feed.channels_last)
        network = self._network(session, rows, device)
        probe = self._probe(network, again=not declared)
        network.weights_sha256, sums = _sums(self.model)
        network.found = {
            **network.found,
            "width": probe.shape[1],
            **({} if network.batch == 0 else {"vectors": len(probe)}),
            "facts": {
                **self.facts,
                **({} if sums is None else {"files": sums}),
                "output": output,
                **({} if rows.pooling is None else {"pooling": rows.pooling}),
                "device": device,
            },
        }
        return network

    def _network(self, session: Any, rows: Rows, device: str) -> OnnxNetwork:
        batch = self.feed.batch
        if batch == 0:
            return WholeSound(session, self.feed, rows)
        # Cores that each compute a batch never wait for each other, nor for one that decodes.
        workers = usable_cores() if device == "cpu" else 1
        if batch is None:
            batch = _BATCH if device == "cpu" else _GPU_BATCH
        return OnnxNetwork(session, self.feed, rows, batch, workers)

    def _probe(self, network: OnnxNetwork, again: bool) -> Matrix:
        try:
            return network.probe(again)
        except AvmitError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise AvmitError(
                f"{self.name} does not take {self._given()} ({reason_of(error)}): {self._remedy()}"
            ) from error

    def _given(self) -> str:
        form = self.input
        if isinstance(form, Sound):
            if form.window_s is None:
                return f"a waveform at {form.rate} Hz"
            return f"windows of {round(form.window_s * form.rate)} samples"
        clips = "" if isinstance(form, Frames) else f"clips of {form.frames} "
        return f"{clips}frames of {form.side} x {form.side}"

    def _remedy(self) -> str:
        """Name the options for what the shape of the input leaves open."""
        option = "--window-s" if isinstance(self.input, Sound) else "--frame-side"
        if None in (self.model.graph.inputs[0].shape or ())[1:]:
            return f"give another {option}, or export it with the size that it takes"
        return "export it again"


def _sums(model: Model) -> tuple[str, dict[str, str] | None]:
    """Return the SHA-256 of a model, and where it is of several files, that of each."""
    sums = {"": sha256_of(model.path)}
    for name in model.graph.external:
        sums[name] = sha256_of(model.path.parent / name)
    if len(sums) == 1:
        return sums[""], None
    sums = {name or model.path.name: one for name, one in sums.items()}
    listed = "".join(f"{name}\0{one}\n" for name, one in sums.items())
    return hashlib.sha256(listed.encode()).hexdigest(), sums
