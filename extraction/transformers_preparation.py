"""Let a model's own processor make items of frames, clips or windows of sound."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from extraction.items import Items
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
