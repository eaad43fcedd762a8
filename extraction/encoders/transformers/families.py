"""What is to be known of the families of models in transformers, by their `model_type`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from avmit import AvmitError

Kind = Literal["image", "video", "sound"]


@dataclass(frozen=True)
class Family:
    """How a family is loaded and pooled.

    `model` is the class in transformers, None for what AutoModel takes. `pooling` is the default:
    `cls`, the first vector; `mean`, that of all vectors but the first `specials`; `pooler`, the
    model's own `pooler_output`; `embeds`, the projection into the space shared with text; None for
    `pooler` where the checkpoint has one, else `mean`. `specials` counts the vectors before those
    of the patches; None if that is not known. `own_window_s` tells how long the input is that the
    network always computes on, `encoder_only` that there is a decoder to be left out, `method`
    which of the model's methods is called, None for the model itself.
    """

    kind: Kind
    pooling: str | None
    specials: int | None = 0
    model: str | None = None
    own_window_s: Callable[[Any], float] | None = None
    encoder_only: bool = False
    method: str | None = None


_CLAP = Family(
    "sound",
    "embeds",
    model="ClapAudioModelWithProjection",
    own_window_s=lambda extractor: float(extractor.max_length_s),
)
_SPEECH = Family("sound", "mean")
_CONVOLUTIONS = Family("image", "pooler")

FAMILIES: dict[str, Family] = {
    "vit": Family("image", "cls", 1),
    "deit": Family("image", "cls", 2),
    "dinov2": Family("image", "cls", 1),
    "dinov2_with_registers": Family("image", "cls", 1),
    "dinov3_vit": Family("image", "cls", 1),
    "clip": Family("image", "embeds", 1, "CLIPVisionModelWithProjection"),
    "clip_vision_model": Family("image", "pooler", 1, "CLIPVisionModel"),
    "siglip": Family("image", "pooler", 0, "SiglipVisionModel"),
    "siglip_vision_model": Family("image", "pooler", 0, "SiglipVisionModel"),
    "siglip2": Family("image", "pooler", 0, "Siglip2VisionModel"),
    "resnet": _CONVOLUTIONS,
    "convnext": _CONVOLUTIONS,
    "convnextv2": _CONVOLUTIONS,
    "videomae": Family("video", "mean"),
    "timesformer": Family("video", "cls", 1),
    "vivit": Family("video", "cls", 1),
    "audio-spectrogram-transformer": Family(
        # Its extractor makes a column of the spectrogram every 10 ms.
        "sound",
        "pooler",
        2,
        own_window_s=lambda extractor: extractor.max_length / 100,
    ),
    "wav2vec2": _SPEECH,
    "hubert": _SPEECH,
    "wavlm": _SPEECH,
    "whisper": Family(
        "sound",
        "mean",
        own_window_s=lambda extractor: float(extractor.chunk_length),
        encoder_only=True,
    ),
    "clap": _CLAP,
    "clap_audio_model": _CLAP,
}

_INPUTS: dict[str, Kind] = {
    "pixel_values": "image",
    "pixel_values_videos": "video",
    "input_values": "sound",
    "input_features": "sound",
}


def family_of(config: Any, model_class: Any, name: str) -> Family:
    """Return the family of a config; `model_class` is what AutoModel would take, or None.

    Raises:
        AvmitError: it takes neither images nor sound, as far as transformers tells.
    """
    known = FAMILIES.get(config.model_type)
    if known is not None:
        projected = any("WithProjection" in one for one in config.architectures or [])
        return FAMILIES["clip"] if config.model_type == "clip_vision_model" and projected else known
    kind = _INPUTS.get(getattr(model_class, "main_input_name", ""))
    if kind == "image" and hasattr(config, "num_frames"):
        kind = "video"
    if kind is None and hasattr(model_class, "get_image_features"):
        return Family("image", "embeds", None, method="get_image_features")
    if kind is None and hasattr(model_class, "get_audio_features"):
        return Family("sound", "embeds", None, method="get_audio_features")
    if kind is None:
        raise AvmitError(
            f"{name} is a model of type {config.model_type}, which takes no images, video or "
            "sound: name a model that does, such as hf:facebook/dinov2-small"
        )
    return Family(kind, None, None)


def specials(family: Family, config: Any) -> int | None:
    """Return how many vectors stand before those of the patches; None if that is not known."""
    if family.specials is None:
        return None
    return family.specials + int(getattr(config, "num_register_tokens", 0) or 0)
