"""`hf:` encoders: models of transformers, from the Hub or from a folder, run by PyTorch."""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import Matrix
from extraction.encoders.base import Encoder, Network, matrices
from extraction.encoders.settings import Modality, Settings, frames_form, option
from extraction.encoders.transformers.families import Family, family_of, specials
from extraction.encoders.transformers.files import (
    EXTRA,
    Source,
    load_config,
    load_model,
    load_processor,
    model_class,
    quiet_transformers,
    revision,
    source,
    weights_sha256,
)
from extraction.encoders.transformers.network import TorchNetwork, device
from extraction.encoders.transformers.processing import POOLED, Pooling, pooled, preparation
from extraction.extras import require
from extraction.media.forms import (
    HOP_S,
    WINDOW_S,
    Clips,
    Form,
    Sound,
    timing_ms,
)
from extraction.media.noise import noise

_IMAGES, _SOUNDS = 8, 8
_LONG_SOUNDS = 2  # spectrograms of ten seconds or more
_GPU_TIMES = 16
"""Items in a call on one core, where more are not faster, and how many times as many on a GPU.

Clips count by their frames.
"""

_TAKES = frozenset({"pooling", "device", "precision", "trust_remote_code", "allow_pickle"})


def transformers_encoder(rest: str, modality: Modality | None, settings: Settings) -> Encoder:
    """Return the encoder `hf:<rest>`; its weights are loaded when it is opened.

    Raises:
        AvmitError: the extra is missing, or the model takes what is not wanted, or is not there.
    """
    place = source(rest, settings)
    config = load_config(place)
    family = family_of(config, model_class(place, config), place.name)
    kind: Modality = "audio" if family.kind == "sound" else "visual"
    if modality not in (None, kind):
        takes = "sound" if kind == "audio" else f"{family.kind}s"
        raise AvmitError(
            f"--{modality} {place.name}: a model of type {config.model_type} takes {takes}; "
            f"name it with --{kind}"
        )
    if settings.pooling is not None:
        Pooling(settings.pooling, specials(family, config), place.name, kind)
    processor = load_processor(place, images=kind == "visual")
    form, timing = _form(family, config, processor, settings)
    window_ms, step_ms = timing_ms(form)
    return TransformersEncoder(
        name=place.name,
        width=0,
        input=form,
        window_ms=window_ms,
        step_ms=step_ms,
        origin="a local folder" if place.local else f"https://huggingface.co/{place.where}",
        preprocessing=f"{type(processor).__name__} of transformers",
        libraries=_libraries(kind),
        extra=EXTRA,
        takes=_TAKES | timing,
        facts={
            **({} if place.local else {"revision": revision(place)}),
            "model_type": config.model_type,
            "processor": json.loads(processor.to_json_string()),
        },
        place=place,
        family=family,
        settings=settings,
        config=config,
        processor=processor,
    )


def _libraries(modality: Modality) -> tuple[str, ...]:
    if modality == "visual":
        return ("torch", "transformers", "PIL")
    # Some extractors compute with it if it is there.
    more = ("torchaudio",) if importlib.util.find_spec("torchaudio") else ()
    return ("torch", "transformers", *more)


def _form(
    family: Family, config: Any, processor: Any, settings: Settings
) -> tuple[Form, frozenset[str]]:
    """Return what the model takes of a video, and the settings that bear on it."""
    window, hop = settings.window_s, settings.hop_s
    windows = frozenset({"window_s", "hop_s"})
    if family.kind == "image":
        return frames_form(settings, None), frozenset({"interval_ms"})
    if family.kind == "video":
        if hop is not None and window is None:
            window = hop
        frames = int(getattr(config, "num_frames", 0) or getattr(config, "frames_per_clip", 16))
        return Clips(frames, None, window, hop), windows
    rate = int(processor.sampling_rate)
    if family.own_window_s is None:
        own_hop = HOP_S if window is None else window
        return Sound(rate, window or WINDOW_S, hop or own_hop), windows
    longest = family.own_window_s(processor)
    if window is not None and window > longest:
        raise AvmitError(f"--window-s {window:g}: this network takes {longest:g} s at most")
    window = window or longest
    return Sound(rate, window, hop or window, pad=False), windows


@dataclass(frozen=True, kw_only=True)
class TransformersEncoder(Encoder):
    """A model of transformers with its own processor."""

    place: Source
    family: Family
    settings: Settings
    config: Any
    processor: Any

    def load(self, weights: Path | None) -> Network:
        """Load the model, and run it to find out width and pooling."""
        torch = require("torch", EXTRA)
        on = device(self.settings.device)
        dtype = getattr(torch, self.settings.precision)
        made = getattr(quiet_transformers(), self.family.model or "AutoModel")
        model, missing = load_model(self.place, made, dtype)
        if self.family.encoder_only:
            model = model.get_encoder()
        method = self.family.method
        network = TorchNetwork(
            self.name,
            model,
            preparation(self.processor, self.input, getattr(model, method or "forward")),
            method=method,
            batch=_batch(self.input) * (1 if on == "cpu" else _GPU_TIMES),
            device=on,
            dtype=dtype,
            weights_sha256=weights_sha256(self.place),
        )
        try:
            how, probe = self._probe(network, missing)
        except AvmitError:
            raise
        except Exception as error:  # the model's code
            raise AvmitError(
                f"{self.name} cannot be run on what its processor makes ({first_line(error)})"
            ) from error
        network.found = {
            "width": probe.shape[1],
            "vectors": len(probe),
            "facts": {
                **self.facts,
                "model": type(model).__name__,
                "pooling": how,
                "device": on,
                "precision": self.settings.precision,
            },
        }
        return network

    def _probe(self, network: TorchNetwork, missing: set[str]) -> tuple[str, Matrix]:
        """Run the network on noise, choose the pooling, and return the embeddings."""
        items = network.prepare(noise(self.input)[:1])
        assert isinstance(items, Mapping)
        output, _ = network.call(items)
        own = pooled(output, "pooler") is not None and not _lacks(missing, "pooler")
        how = self.settings.pooling or self.family.pooling or ("pooler" if own else "mean")
        there = pooled(output, how) if how in POOLED else getattr(output, "last_hidden_state", None)
        if there is None or (how == "pooler" and not own):
            listed = ", ".join(
                f"{name} {tuple(value.shape)}"
                for name, value in getattr(output, "items", dict)()
                if hasattr(value, "shape")
            )
            raise AvmitError(
                f"{self.name} has no output to take as embedding by {how}; there are "
                f"{listed or 'none'}: choose another {option(self.modality, 'pooling')}"
            )
        lost = sorted(key for key in missing if not _dispensable(key, how))
        if lost:
            raise AvmitError(
                f"{self.place.where} lacks weights of the model ({', '.join(lost[:3])}, "
                f"{len(lost)} in all): name a checkpoint that has them"
            )
        network.pool = Pooling(how, specials(self.family, self.config), self.name, self.modality)
        first, second = (matrices(network.encode(items))[0] for _ in range(2))
        if not np.array_equal(first, second):
            raise AvmitError(f"{self.name} gives other values at every call: it is no encoder")
        return how, first


def _batch(form: Form) -> int:
    if isinstance(form, Clips):
        return max(1, 2 * _IMAGES // form.frames)
    if isinstance(form, Sound):
        return _SOUNDS if form.pad else _LONG_SOUNDS
    return _IMAGES


def _lacks(missing: set[str], part: str) -> bool:
    return any(part in key.split(".") for key in missing)


def _dispensable(key: str, how: str) -> bool:
    """Tell whether an embedding does not need the weights `key`."""
    parts = key.split(".")
    return ("pooler" in parts and how != "pooler") or parts[-1] in (
        "masked_spec_embed",
        "mask_token",
    )
