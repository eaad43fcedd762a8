"""Encoders and weights for tests: the real calling conventions and layers, seeded random values."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from extraction.encoders.tensorflow.frames_network import KerasEncoder
from extraction.media.forms import Frames

MEAN_RGB, VARIANCE_RGB = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)
"""What the normalization layer of the trained EfficientNetB0 holds."""


def efficientnet(seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    model = keras.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg")
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.set_weights([np.array(MEAN_RGB), np.array(VARIANCE_RGB), np.array(0)])
            layer.finalize_state()
    return model


def vgg16(seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    return keras.applications.VGG16(include_top=False, weights=None, pooling="avg")


def save_as_published(model: Any, path: Path) -> Path:
    """Write weights in the old HDF5 layout, as the files for keras.applications are."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


class _Windows(tf.Module):  # type: ignore[misc]
    """Embeds windows of sound by a random matrix; `pad` as YAMNet does, so that T >= 1."""

    def __init__(self, width: int, step: int, pad: bool, seed: int):
        super().__init__()
        values = np.random.default_rng(seed).standard_normal((480, width))
        self.matrix = tf.Variable(values.astype(np.float32))
        self._step = step
        self._pad = pad

    def embed(self, waveform: Any) -> Any:
        if self._pad:
            waveform = tf.pad(waveform, [[0, tf.maximum(0, 15360 - tf.shape(waveform)[0])]])
        windows = tf.signal.frame(waveform, 15360, self._step)
        folded = tf.reduce_mean(tf.abs(tf.reshape(windows, [-1, 32, 480])), 1)
        return tf.matmul(folded, self.matrix)


class VGGishLike(_Windows):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
    def __call__(self, waveform: Any) -> Any:
        return self.embed(waveform)


class YAMNetLike(_Windows):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
    def __call__(self, waveform: Any) -> Any:
        embeddings = self.embed(waveform)
        steps = tf.shape(embeddings)[0]
        return tf.zeros([steps, 521]), embeddings, tf.zeros([steps * 96, 64])


def save_vggish(folder: Path, width: int = 128, seed: int = 0) -> Path:
    tf.saved_model.save(VGGishLike(width, 15360, False, seed), str(folder))
    return folder


def save_yamnet(folder: Path, seed: int = 0) -> Path:
    tf.saved_model.save(YAMNetLike(1024, 7680, True, seed), str(folder))
    return folder


@dataclass(frozen=True, kw_only=True)
class TinyEncoder(KerasEncoder):
    """A real, small network: one convolution, averaged."""

    def build(self, load_weights: Callable[[Any], None]) -> tuple[Any, Callable[[Any], Any]]:
        model = tiny_model(self.width)
        load_weights(model)
        return model, lambda frames: frames / 255.0


def tiny_model(width: int = 8) -> Any:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((32, 32, 3))
    outputs = keras.layers.Conv2D(width, 5, strides=3, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(outputs))


TINY = TinyEncoder(
    name="tiny",
    width=8,
    input=Frames(side=32),
    window_ms=0,
    step_ms=480,
    origin="nowhere",
    preprocessing="RGB 0 to 1",
    url="http://127.0.0.1:9/tiny.weights.h5",
    md5="",
)


def elsewhere(encoder: KerasEncoder) -> KerasEncoder:
    """The encoder with its weights at an address where nothing answers."""
    return replace(encoder, url=f"http://127.0.0.1:9/{encoder.file_name}")
