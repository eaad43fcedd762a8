"""From what a model of transformers gives to embeddings."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from extraction.encoders.arrays import Items
from extraction.encoders.settings import Modality, option
from extraction.media.forms import Clips, Form, Sound

_LEAST_S = 0.1
"""Seconds of sound of which every extractor can make a spectrogram."""


def preparation(
    processor: Any, form: Form, forward: Callable[..., Any]
) -> Callable[[npt.NDArray[Any]], Items]:
    """Return a function of what `form` takes, which gives the arrays that `forward` takes."""
    accepted = frozenset(inspect.signature(forward).parameters)

    def prepare(taken: npt.NDArray[Any]) -> Items:
        if isinstance(form, Sound):
            each = [_listen(window, form) for window in taken]
            made = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
        else:
            made = _look(taken)
        return {name: np.asarray(made[name]) for name in made if name in accepted}

    def _listen(window: npt.NDArray[Any], form: Sound) -> Any:
        # One by one: CLAP's draws lots among several.
        padded = np.pad(window, (0, max(0, int(_LEAST_S * form.rate) - len(window))))
        # Where the extractor pads, only a mask tells what is padding; windows are of one length.
        mask = {} if form.pad else {"return_attention_mask": "attention_mask" in accepted}
        return processor([padded], sampling_rate=form.rate, return_tensors="np", **mask)

    def _look(frames: npt.NDArray[Any]) -> Any:
        images = [list(clip) for clip in frames] if isinstance(form, Clips) else list(frames)
        return processor(images, input_data_format="channels_last", return_tensors="np")

    return prepare


POOLED = ("pooler", "embeds")


class Pooling:
    """Pools as `how` says: cls, mean, none, pooler or embeds.

    `specials` counts the vectors before those of the patches, None if unknown. What of a sound is
    only padding is left out where the model's processor says so.
    """

    def __init__(self, how: str, specials: int | None, name: str, modality: Modality):
        if how == "cls" and specials == 0:
            raise AvmitError(
                f"{name} has no vector for the whole: choose {option(modality, 'pooling')} mean "
                "or none"
            )
        self.how = how
        self._specials = specials or 0

    def __call__(self, output: Any, inputs: Mapping[str, Any]) -> Any:
        """Return (N, width), (N, k, width) or a list of N (k, width)."""
        if self.how in POOLED:
            return pooled(output, self.how)
        vectors = output.last_hidden_state
        if vectors.ndim == 4:  # channels, height, width
            vectors = vectors.flatten(2).transpose(1, 2)
        if self.how == "cls":
            return vectors[:, 0]
        kept = _kept(vectors, inputs)
        if kept is None:
            return vectors if self.how == "none" else vectors[:, self._specials :].mean(1)
        several = [one[:count] for one, count in zip(vectors, kept, strict=True)]
        return several if self.how == "none" else [one.mean(0) for one in several]


def pooled(output: Any, how: str) -> Any:
    """Return the model's own `pooler_output`, or its projection; None if it has none."""
    if how == "pooler":
        found = getattr(output, "pooler_output", None)
        return None if found is None else found.flatten(1)
    if hasattr(output, "ndim"):  # of get_image_features
        return output
    for name in ("image_embeds", "audio_embeds", "pooler_output"):
        if getattr(output, name, None) is not None:
            return getattr(output, name)
    return None


def _kept(vectors: Any, inputs: Mapping[str, Any]) -> list[int] | None:
    """Return how many of an encoder's vectors are of sound, not of padding; None for all."""
    mask = inputs.get("attention_mask")
    if mask is None or "input_features" not in inputs:
        return None
    share = vectors.shape[1] / mask.shape[1]
    return [max(1, math.ceil(float(count) * share - 1e-6)) for count in mask.sum(1).tolist()]
