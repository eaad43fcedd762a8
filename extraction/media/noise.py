"""Noise in place of a video, to find out what a network gives."""

from typing import Any

import numpy as np
import numpy.typing as npt

from extraction.media.forms import Form, Frames, Sound, windows

CLIPS = 3


def noise(
    form: Form, length_s: float = 3.0, seed: int = 0, size: tuple[int, int] = (256, 256)
) -> npt.NDArray[Any]:
    """Return what `form` takes of a video of noise: `CLIPS` clips, of a length of their own.

    `size` is the video's (height, width), for a form that keeps it.
    """
    generator = np.random.default_rng(seed)
    if isinstance(form, Sound):
        samples = generator.uniform(-0.5, 0.5, round(length_s * form.rate)).astype(np.float32)
        return windows(samples, form)
    height, width = size if form.side is None else (form.side, form.side)
    if isinstance(form, Frames):
        shape: tuple[int, ...] = (1 + int(1000 * length_s / form.interval_ms),)
    else:
        shape = (CLIPS, form.frames)
    return generator.integers(0, 256, (*shape, height, width, 3), dtype=np.uint8)
