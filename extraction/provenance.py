"""What a config's manifest says about where its embeddings come from."""

import os
from typing import Any

from conversion.manifest import EXTRACTION
from extraction.encoder import Encoder, Sound
from extraction.extra import ONEDNN, require
from extraction.pipeline import Side, Sides


def describe(sides: Sides, local: dict[str, bool]) -> dict[str, Any]:
    """Return the manifest's `source`: encoders by column, and the versions of libraries.

    `local` says by column whether the weights came from a file that the user named.
    """
    chosen = {"audio": sides.audio, "visual": sides.visual}
    used = {name: side for name, side in chosen.items() if side is not None}
    libraries = sorted({module for side in used.values() for module in _modules(side.encoder)})
    return {
        "kind": EXTRACTION,
        "encoders": {name: _encoder(side, local[name]) for name, side in used.items()},
        "libraries": {module: version(module) for module in libraries},
        "settings": {ONEDNN: os.environ.get(ONEDNN, "default")},
    }


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
    if isinstance(encoder.input, Sound):
        return described | {"sample_rate": encoder.input.rate}
    return described | {
        "frame_side": encoder.input.side,
        "frame_interval_ms": encoder.input.interval_ms,
    }


def _modules(encoder: Encoder) -> tuple[str, ...]:
    media = ("av", "resampy") if isinstance(encoder.input, Sound) else ("av", "cv2")
    return ("numpy", *media, *encoder.libraries)


def version(module: str) -> str:
    """Return a module's version."""
    return str(require(module).__version__)
