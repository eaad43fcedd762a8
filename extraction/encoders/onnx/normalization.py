"""What is done to pixels and samples before an ONNX model gets them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from extraction.encoders.settings import option

MOMENTS = {
    # Of torchvision's ImageNet models: https://docs.pytorch.org/vision/stable/models.html
    "imagenet": "0.485,0.456,0.406/0.229,0.224,0.225",
    # OPENAI_CLIP_MEAN and OPENAI_CLIP_STD of transformers/image_utils.py
    "clip": "0.48145466,0.4578275,0.40821073/0.26862954,0.26130258,0.27577711",
}
"""Means and standard deviations of pixels from 0 to 1 that have a name."""
CAFFE = (-123.68, -116.779, -103.939)
"""Less the means of ImageNet, as `preprocess_input` of Keras' VGG16 does; blue comes first, too."""
_ADDED = 1e-7
"""To the variance of a sound, as Wav2Vec2FeatureExtractor of transformers does."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_RANGE = re.compile(f"({_NUMBER}):({_NUMBER})")
_THREE = f"{_NUMBER}(?:,{_NUMBER},{_NUMBER})?"
_MOMENTS = re.compile(f"({_THREE})/({_THREE})")


@dataclass(frozen=True)
class Pixels:
    """A pixel of 0 to 255 becomes `scale` times that, plus `offset`, each for red, green, blue."""

    text: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    blue_first: bool = False

    @property
    def as_they_are(self) -> bool:
        """Whether they stay 0 to 255."""
        return set(self.scale) == {1} and set(self.offset) == {0}

    def table(self, dtype: str) -> npt.NDArray[Any]:
        """Return what each of 256 values becomes in red, green and blue: (3, 256)."""
        values = np.arange(256.0)[:, None] * self.scale + self.offset
        return np.ascontiguousarray(values.T.astype(dtype))


@dataclass(frozen=True)
class Samples:
    """A sound from -1 to 1 is multiplied by `scale`; None gives it mean 0 and variance 1."""

    text: str
    scale: float | None

    def __call__(self, sound: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[Any]:
        """Return a waveform (N,) or windows (T, N), each for itself."""
        if self.scale is None and sound.shape[-1]:
            mean = sound.mean(-1, keepdims=True)
            deviation = np.sqrt(sound.var(-1, keepdims=True) + _ADDED)
            return np.asarray((sound - mean) / deviation, dtype)
        return np.asarray(sound * np.float32(self.scale or 1), dtype)


def pixels(text: str) -> Pixels:
    """Return what `--visual-normalize` asks for.

    LOW:HIGH is the range of the pixels. MEAN/STD is what is subtracted of pixels from 0 to 1, and
    what they are then divided by: one number, or three for red, green and blue.

    Raises:
        AvmitError: it is none of these, nor a name of one.
    """
    if text == "caffe":
        return Pixels(text, (1.0,) * 3, CAFFE, blue_first=True)
    if found := _RANGE.fullmatch(text):
        low, high = float(found[1]), float(found[2])
        if low < high < float("inf"):
            return Pixels(text, ((high - low) / 255,) * 3, (low,) * 3)
    if found := _MOMENTS.fullmatch(MOMENTS.get(text, text)):
        mean, std = (_three(numbers) for numbers in found.groups())
        if min(std) > 0:
            return moments(text, mean, std)
    raise AvmitError(
        f"{option('visual', 'normalize')} {text}: give a range of pixels such as 0:1, their "
        "mean/standard deviation from 0 to 1 such as 0.5/0.5, or imagenet, clip or caffe"
    )


def moments(text: str, mean: Sequence[float], std: Sequence[float]) -> Pixels:
    """Return pixels from 0 to 1, less `mean`, divided by `std`."""
    scale = tuple(1 / (255 * one) for one in std)
    return Pixels(text, scale, tuple(-m / s for m, s in zip(mean, std, strict=True)))


def samples(text: str) -> Samples:
    """Return what `--audio-normalize` asks for: a range such as -1:1, or zscore.

    Raises:
        AvmitError: it is neither.
    """
    if text == "zscore":
        return Samples(text, None)
    found = _RANGE.fullmatch(text)
    if found and float("inf") > float(found[2]) == -float(found[1]) > 0:
        return Samples(text, float(found[2]))
    raise AvmitError(
        f"{option('audio', 'normalize')} {text}: give a range of samples such as -1:1 or "
        "-32768:32768, or zscore for mean 0 and variance 1"
    )


def _three(numbers: str) -> list[float]:
    values = [float(one) for one in numbers.split(",")]
    return values * 3 if len(values) == 1 else values
