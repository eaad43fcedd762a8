"""The published networks with random weights, and calls of them as the published extractor's.

Those of frames are Keras' own. Of sound there are networks of the same layers as YAMNet and VGGish
behind log mel spectrograms, as SavedModels: what TensorFlow Hub has is not fetched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extraction.encoders.base import Encoder
from extraction.encoders.settings import Modality
from extraction.encoders.tensorflow.frames_network import KerasEncoder
from extraction.encoders.tensorflow.published import (
    EFFICIENTNET_B0,
    VGG16_ENCODER,
    VGGISH,
    YAMNET,
)
from extraction.encoders.tensorflow.sound_network import SavedModelEncoder
from extraction.extras import require

Eager = Callable[[npt.NDArray[Any]], object]

PAIRS = {"efficientnet_b0": (YAMNET, EFFICIENTNET_B0), "vgg16": (VGGISH, VGG16_ENCODER)}
"""Of the published embeddings: the encoders of sound and of frames, by the name of the latter."""

# As in models/research/audioset of github.com/tensorflow/models: each layer's stride and channels.
_YAMNET = [
    (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512),
    (1, 512), (1, 512), (1, 512), (1, 512), (2, 1024), (1, 1024),
]  # fmt: skip
_VGGISH = [(64,), (128,), (256, 256), (512, 512)]
_BANDS, _WINDOW, _HOP, _TRANSFORM = 64, 400, 160, 512  # of the spectrogram, at 16 kHz
_STEPS = 96  # of it in what a network takes


@dataclass(frozen=True)
class Published:
    """A pair of encoders, the files of their weights, and how the published extractor calls them.

    `one_frame` takes RGB (side, side, 3), `sound` a waveform.
    """

    encoders: Mapping[Modality, Encoder]
    weights: Mapping[Modality, Path]
    one_frame: Eager
    sound: Eager


def published(name: str, folder: Path) -> Published:
    """Make a pair's networks, and save their weights below `folder`."""
    audio, visual = PAIRS[name]
    weights: dict[Modality, Path] = {
        "audio": folder / audio.name,
        "visual": folder / f"{visual.name}.weights.h5",
    }
    model = _frames(visual, weights["visual"])

    def one_frame(frame: npt.NDArray[Any]) -> object:
        return model(frame[None].astype(np.float32), training=False).numpy()

    _save_sound(audio, weights["audio"])
    heard = require("tensorflow").saved_model.load(str(weights["audio"]))

    def sound(waveform: npt.NDArray[Any]) -> object:
        return audio.embeddings(heard(waveform)).numpy()

    return Published({"audio": audio, "visual": visual}, weights, one_frame, sound)


def _frames(encoder: KerasEncoder, weights: Path) -> Any:
    keras = require("keras")
    keras.utils.set_random_seed(0)
    model, _ = encoder.build(lambda fresh: fresh.save_weights(weights))
    return model


def _save_sound(encoder: SavedModelEncoder, folder: Path) -> None:
    """Save what maps a waveform to embeddings of windows of 0.96 s, as the encoder says."""
    tf, keras = require("tensorflow"), require("keras")
    keras.utils.set_random_seed(0)
    layers = _yamnet(keras) if encoder is YAMNET else _vggish(keras)
    assert encoder.step_ms is not None
    hop = round(encoder.step_ms / 10)
    module = tf.Module()
    module.network = layers
    bands = tf.signal.linear_to_mel_weight_matrix(_BANDS, _TRANSFORM // 2 + 1, 16_000, 125, 7_500)
    module.bands = tf.constant(bands)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
    def embed(waveform: Any) -> Any:
        spectrum = tf.abs(tf.signal.stft(waveform, _WINDOW, _HOP, fft_length=_TRANSFORM))
        mel = tf.math.log(tf.matmul(spectrum, module.bands) + 0.001)
        patches = tf.signal.frame(mel, _STEPS, hop, axis=0)
        found = module.network(patches[..., None], training=False)
        return (found[:, :1], found, mel) if encoder is YAMNET else found

    module.__call__ = embed
    tf.saved_model.save(module, str(folder))


def _yamnet(keras: Any) -> Any:
    make = keras.layers
    layers = [make.Input((_STEPS, _BANDS, 1)), *_normed(make, make.Conv2D(32, 3, 2, "same"))]
    for stride, channels in _YAMNET:
        layers += _normed(make, make.DepthwiseConv2D(3, stride, "same"))
        layers += _normed(make, make.Conv2D(channels, 1))
    return keras.Sequential([*layers, make.GlobalAveragePooling2D()])


def _normed(make: Any, layer: Any) -> list[Any]:
    return [layer, make.BatchNormalization(scale=False), make.ReLU()]


def _vggish(keras: Any) -> Any:
    make = keras.layers
    layers = [make.Input((_STEPS, _BANDS, 1))]
    for block in _VGGISH:
        layers += [make.Conv2D(width, 3, padding="same", activation="relu") for width in block]
        layers.append(make.MaxPooling2D())
    dense = [make.Dense(width, activation="relu") for width in (4096, 4096, 128)]
    return keras.Sequential([*layers, make.Flatten(), *dense])
