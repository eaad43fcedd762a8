"""The encoders of the published embeddings, and EfficientNetB0 as it was meant.

VGGish (Hershey et al. 2017, DOI 10.1109/ICASSP.2017.7952132), trained on YouTube-8M sound; YAMNet
(Plakal and Ellis 2020), a MobileNet trained on AudioSet; VGG16 (Simonyan and Zisserman 2015, arXiv
1409.1556) and EfficientNetB0 (Tan and Le 2019, arXiv 1905.11946), trained on ImageNet.

EfficientNetB0's weights were trained with inputs that were scaled once more than Keras scaled them
at first. Keras after TensorFlow 2.3 adds that scaling, but only for `weights="imagenet"`: see
https://github.com/tensorflow/tensorflow/issues/49930. The published embeddings were made before:
`efficientnet_b0` is without it, `efficientnet_b0_corrected` with it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from extraction.encoders.tensorflow.frames_network import KerasEncoder, as_it_is
from extraction.encoders.tensorflow.sound_network import SavedModelEncoder
from extraction.extras import require
from extraction.media.forms import Frames, Sound

VGGISH = SavedModelEncoder(
    name="vggish",
    width=128,
    input=Sound(),
    window_ms=960,
    step_ms=960,
    origin="Kaggle google/vggish/tensorFlow2/vggish",
    preprocessing="float32 from -1 to 1 at 16 kHz; log mel spectrogram inside the SavedModel",
    libraries=("tensorflow",),
    handle="google/vggish/tensorFlow2/vggish",
    embeddings=lambda returned: returned,
)


YAMNET = SavedModelEncoder(
    name="yamnet",
    width=1024,
    input=Sound(),
    window_ms=960,
    step_ms=480,
    origin="Kaggle google/yamnet/tensorFlow2/yamnet",
    preprocessing="float32 from -1 to 1 at 16 kHz; log mel spectrogram inside the SavedModel",
    libraries=("tensorflow",),
    handle="google/yamnet/tensorFlow2/yamnet",
    # A call returns (scores, embeddings, spectrogram).
    embeddings=lambda returned: returned[1],
)


class VGG16(KerasEncoder):
    """VGG16 without its top, its last block averaged over the image."""

    def build(self, load_weights: Callable[[Any], None]) -> tuple[Any, Callable[[Any], Any]]:
        """Return the model and caffe-style preprocessing: BGR, ImageNet's mean subtracted."""
        applications = require("keras").applications
        model = applications.VGG16(include_top=False, weights=None, pooling="avg")
        load_weights(model)
        return model, applications.vgg16.preprocess_input


# URL and MD5 as in keras/src/applications/vgg16.py.
VGG16_ENCODER = VGG16(
    name="vgg16",
    width=512,
    input=Frames(),
    window_ms=0,
    step_ms=480,
    origin="keras.applications VGG16, ImageNet",
    preprocessing="RGB 0 to 255 to BGR, less the mean of ImageNet (caffe style)",
    url="https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    md5="6d6bbae143d832006294945121d1f1fc",
)


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
