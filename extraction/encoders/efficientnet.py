"""EfficientNetB0 (Tan and Le 2019, arXiv 1905.11946), trained on ImageNet, in two variants.

Its weights were trained with inputs that were scaled once more than Keras scaled them at first.
Keras after TensorFlow 2.3 adds that scaling, but only for `weights="imagenet"`: see
https://github.com/tensorflow/tensorflow/issues/49930. The published embeddings were made before:
`efficientnet_b0` is without it, `efficientnet_b0_corrected` with it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from extraction.extra import require
from extraction.keras_frames import KerasEncoder, as_it_is
from extraction.media.forms import Frames

IMAGENET_STDDEV_RGB = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's colours from 0 to 1, as in keras/src/applications."""


@dataclass(frozen=True, kw_only=True)
class EfficientNetB0(KerasEncoder):
    """EfficientNetB0 without its top, its last layer averaged over the image."""

    corrected: bool

    def build(self, load_weights: Callable[[Any], None]) -> tuple[Any, Callable[[Any], Any]]:
        """Return the model, which takes RGB from 0 to 255 as it is."""
        keras = require("keras")
        model = keras.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg")
        load_weights(model)
        return (rescaled(model) if self.corrected else model), as_it_is


def rescaled(model: Any) -> Any:
    """Put the scaling that `weights="imagenet"` adds behind the model's normalization layer."""
    keras = require("keras")
    (normalization,) = (
        layer for layer in model.layers if isinstance(layer, keras.layers.Normalization)
    )
    before = keras.Model(model.input, normalization.output)
    after = keras.Model(normalization.output, model.output)
    scales = [1.0 / math.sqrt(stddev) for stddev in IMAGENET_STDDEV_RGB]
    inputs = keras.Input(model.input_shape[1:])
    return keras.Model(inputs, after(keras.layers.Rescaling(scales)(before(inputs))))


def _variant(name: str, preprocessing: str, corrected: bool) -> EfficientNetB0:
    # URL and MD5 as in keras/src/applications/efficientnet.py.
    return EfficientNetB0(
        name=name,
        width=1280,
        input=Frames(),
        window_ms=0,
        step_ms=480,
        origin="keras.applications EfficientNetB0, ImageNet",
        preprocessing=preprocessing,
        url="https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        md5="50bc09e76180e00e4465e1a485ddc09d",
        corrected=corrected,
    )


EFFICIENTNET_B0 = _variant(
    "efficientnet_b0",
    "RGB 0 to 255; divided by 255 and normalized inside the model, as by TensorFlow 2.3",
    corrected=False,
)
EFFICIENTNET_B0_CORRECTED = _variant(
    "efficientnet_b0_corrected",
    "RGB 0 to 255; divided by 255, normalized and divided by the root of the standard deviation "
    "inside the model, as by Keras since TensorFlow issue 49930",
    corrected=True,
)
