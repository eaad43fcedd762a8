"""VGG16 (Simonyan and Zisserman 2015, arXiv 1409.1556), trained on ImageNet."""

from collections.abc import Callable
from typing import Any

from extraction.extra import require
from extraction.keras_frames import KerasEncoder
from extraction.media.forms import Frames


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
