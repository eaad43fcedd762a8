"""What a config's manifest says about where its embeddings come from."""

import os
from collections.abc import Mapping
from typing import Any

from conversion.package.manifest_problems import EXTRACTION
from extraction.encoders.base import Encoder, Side
from extraction.encoders.settings import Modality
from extraction.extras import ONEDNN, require
from extraction.media import resample
from extraction.media.forms import Frames, Sound


def describe(sides: Mapping[Modality, Side], local: Mapping[Modality, bool]) -> dict[str, Any]:
    """Return the manifest's `source`: encoders by column, and the versions of libraries.

    `local` says by column whether the weights came from a file that the user named.
    """
    extras = {
        module: side.encoder.extra for side in sides.values() for module in _modules(side.encoder)
    }
    libraries = sorted(extras)
    return {
        "kind": EXTRACTION,
        "encoders": {name: _encoder(side, local[name]) for name, side in sides.items()},
        "libraries": {module: version(module, extras[module]) for module in libraries},
        "settings": {ONEDNN: os.environ.get(ONEDNN, "default")}
        if "tensorflow" in libraries
        else {},
    }


def identity(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a source says of how embeddings are made, without what was measured of it."""
    encoders = {
        column: {
            fact: {name: one for name, one in value.items() if name != "difference"}
            if fact == "export" and isinstance(value, Mapping)
            else value
            for fact, value in encoder.items()
        }
        for column, encoder in source["encoders"].items()
    }
    return {**source, "encoders": encoders}


def _encoder(side: Side, local: bool) -> dict[str, Any]:
    encoder = side.encoder
    described: dict[str, Any] = {
        "name": encoder.name,
        "width": encoder.width,
        "window_ms": encoder.window_ms,
        "step_ms": encoder.step_ms,
        "preprocessing": encoder.preprocessing,
        "weights": "a local file" if local else encoder.origin,
        "weights_sha256": side.network.weights_sha256,
    }
    form = encoder.input
    if isinstance(form, Sound):
        described |= {"sample_rate": form.rate, "resampling": resample.METHOD}
    elif isinstance(form, Frames):
        described |= {"frame_side": form.side, "frame_interval_ms": form.interval_ms}
    else:
        described |= {"frame_side": form.side, "clip_frames": form.frames}
    if encoder.vectors != 1:
        described["vectors"] = encoder.vectors
    return described | dict(encoder.facts)


def describe_line(encoder: Encoder) -> str:
    """Say in one line what was found out about an encoder."""
    several = "" if encoder.vectors == 1 else f", {encoder.vectors} embeddings of each"
    pooling = f", pooling {encoder.facts['pooling']}" if "pooling" in encoder.facts else ""
    device = f", on {encoder.facts['device']}" if "device" in encoder.facts else ""
    return (
        f"{encoder.modality}: {encoder.name}, width {encoder.width}, {takes(encoder)}, "
        f"{timing(encoder)}{several}{pooling}; {encoder.preprocessing}{device}"
    )


def takes(encoder: Encoder) -> str:
    """Say what an encoder takes, in a few words."""
    form = encoder.input
    if isinstance(form, Sound):
        return f"{form.rate / 1000:g} kHz"
    size = "RGB" if form.side is None else f"{form.side} x {form.side} RGB"
    return size if isinstance(form, Frames) else f"{form.frames} frames {size}"


def timing(encoder: Encoder) -> str:
    """Say when an encoder's embeddings are, in a few words."""
    if encoder.window_ms is None or encoder.step_ms is None:
        return "one for the whole video"
    each = f"each {encoder.step_ms / 1000:g} s"
    return f"{encoder.window_ms / 1000:g} s {each}" if encoder.window_ms else f"a frame {each}"


def _modules(encoder: Encoder) -> tuple[str, ...]:
    media = ("av",) if isinstance(encoder.input, Sound) else ("av", "cv2")
    return ("numpy", *media, *encoder.libraries)


def version(module: str, extra: str) -> str:
    """Return a module's version."""
    return str(getattr(require(module, extra), "__version__", "unknown"))
