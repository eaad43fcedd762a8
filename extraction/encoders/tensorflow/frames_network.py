"""Visual networks that are Keras models and take batches of frames."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import BATCH, in_batches
from extraction.encoders.base import Encoder, Network, weights_digest
from extraction.encoders.settings import option
from extraction.extras import require
from extraction.media.forms import Frames


def keras_on_tensorflow() -> Any:
    """Return Keras, which is to compute by TensorFlow.

    Raises:
        AvmitError: one of them is missing, or Keras is told to compute by something else.
    """
    require("tensorflow")
    keras = require("keras")
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise AvmitError(f"Keras is set to compute by {backend}: set KERAS_BACKEND=tensorflow")
    return keras


def finalize(model: Any) -> None:
    """Let layers heed loaded weights: some Keras 3 go on normalizing with 0 and 1 otherwise."""
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def as_it_is(frames: Any) -> Any:
    """Prepare frames for a model that takes RGB from 0 to 255."""
    return frames


@dataclass(frozen=True, kw_only=True)
class KerasEncoder(Encoder):
    """A model of keras.applications whose ImageNet weights lie at `url` with an MD5 sum."""

    url: str
    md5: str

    @abstractmethod
    def build(self, load_weights: Callable[[Any], None]) -> tuple[Any, Callable[[Any], Any]]:
        """Return the model, weights loaded into it, and the function that prepares its input."""

    def load(self, weights: Path | None) -> Network:
        """Build the model and load the Keras weights file `weights`, or else the one at `url`."""
        keras_on_tensorflow()
        file = weights or self._fetch()
        if not file.is_file():
            raise AvmitError(
                f"no file {file}: {option('visual')} takes a Keras weights file such as "
                f"{self.file_name}, from {self.url}"
            )

        def load_weights(model: Any) -> None:
            try:
                model.load_weights(str(file))
            except Exception as error:  # Keras and h5py raise what they like
                raise AvmitError(
                    f"{file} does not hold the weights of {self.name} ({first_line(error)}): "
                    f"take {self.file_name} from {self.url}"
                ) from error
            finalize(model)

        model, prepare = self.build(load_weights)
        assert isinstance(self.input, Frames) and self.input.side is not None
        return FramesNetwork(model, prepare, self.input.side, weights_digest(file))

    @property
    def file_name(self) -> str:
        """The name of the published weights file."""
        return self.url.rsplit("/", 1)[1]

    def _fetch(self) -> Path:
        keras = require("keras")
        try:
            return Path(
                keras.utils.get_file(
                    self.file_name, self.url, cache_subdir="models", file_hash=self.md5
                )
            )
        except Exception as error:  # whatever its HTTP client raises
            raise AvmitError(
                f"cannot fetch the weights of {self.name} ({first_line(error)}): bring "
                f"{self.file_name} from {self.url}, and name it with {option('visual')}"
            ) from error


class FramesNetwork(Network):
    """A Keras model that maps uint8 RGB frames (N, side, side, 3) to embeddings (N, width)."""

    batch = BATCH

    def __init__(self, model: Any, prepare: Callable[[Any], Any], side: int, weights_sha256: str):
        tf = require("tensorflow")
        self.weights_sha256 = weights_sha256

        def apply(frames: Any) -> Any:
            return model(prepare(tf.cast(frames, tf.float32)), training=False)

        signature = [tf.TensorSpec((BATCH, side, side, 3), tf.uint8)]
        # Keras leaves the code of layers as it is, too.
        self._apply = tf.function(apply, input_signature=signature, autograph=False)

    def encode(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the embeddings of any number of frames, BATCH at a time, the last padded."""
        return np.stack(in_batches(inputs, BATCH, lambda frames: self._apply(frames).numpy()))
