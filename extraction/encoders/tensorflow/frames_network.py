"""Visual networks that are Keras models and take batches of frames."""

import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import BATCH, Items, Matrix, in_batches
from extraction.encoders.base import weights_digest
from extraction.encoders.caches import nothing_is_fetched
from extraction.encoders.memory import Parts, gpu_batch
from extraction.encoders.settings import option
from extraction.encoders.tensorflow.encoder import TensorFlowEncoder
from extraction.encoders.tensorflow.network import TensorFlowNetwork, device, place, tensorflow
from extraction.extras import require
from extraction.media.forms import Frames


def keras_on_tensorflow() -> Any:
    """Return Keras, which is to compute by TensorFlow.

    Raises:
        AvmitError: one of them is missing, or Keras is told to compute by something else.
    """
    tensorflow()
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
class KerasEncoder(TensorFlowEncoder):
    """A model of keras.applications whose ImageNet weights lie at `url` with an MD5 sum."""

    url: str
    md5: str

    @abstractmethod
    def build(self, load_weights: Callable[[Any], None]) -> tuple[Any, Callable[[Any], Any]]:
        """Return the model, weights loaded into it, and the function that prepares its input."""

    def find_weights(self, weights: Path | None) -> Path:
        """Return the Keras weights file `weights`, or else the one at `url`, fetched if need be."""
        file = weights or self._fetch()
        if not file.is_file():
            raise AvmitError(
                f"no file {file}: {option('visual')} takes a Keras weights file such as "
                f"{self.file_name}, from {self.url}"
            )
        return file

    def load(self, weights: Path | None) -> TensorFlowNetwork:
        """Build the model and load its weights file."""
        keras_on_tensorflow()
        file = self.find_weights(weights)
        on = device(self.device)

        def load_weights(model: Any) -> None:
            try:
                model.load_weights(str(file))
            except Exception as error:  # Keras and h5py raise what they like
                raise AvmitError(
                    f"{file} does not hold the weights of {self.name} ({first_line(error)}): "
                    f"take {self.file_name} from {self.url}"
                ) from error
            finalize(model)

        with place(on):
            model, prepare = self.build(load_weights)
        assert isinstance(self.input, Frames) and self.input.side is not None
        return FramesNetwork(self.name, model, prepare, self.input.side, weights_digest(file), on)

    @property
    def file_name(self) -> str:
        """The name of the published weights file."""
        return self.url.rsplit("/", 1)[1]

    def _fetch(self) -> Path:
        # Where Keras keeps it, which would take seconds to say so itself.
        kept = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
        if _has_md5(kept / self.file_name, self.md5):
            return kept / self.file_name
        if nothing_is_fetched():
            raise AvmitError(
                f"no {self.file_name} in {kept}, where the weights of {self.name} were fetched: "
                "run the command with --executor again"
            )
        keras = keras_on_tensorflow()
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


def _has_md5(file: Path, md5: str) -> bool:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "md5").hexdigest() == md5
    except OSError:
        return False


class FramesNetwork(TensorFlowNetwork):
    """A Keras model that maps uint8 RGB frames (N, side, side, 3) to embeddings (N, width)."""

    def __init__(
        self,
        name: str,
        model: Any,
        prepare: Callable[[Any], Any],
        side: int,
        weights_sha256: str,
        device: str,
    ):
        super().__init__(device)
        tf = require("tensorflow")
        self.weights_sha256 = weights_sha256
        self.batch = BATCH if device == "cpu" else gpu_batch(side)
        self._parts = Parts(name, device, self.batch, out_of_memory)
        self._side = side

        def apply(frames: Any) -> Any:
            return model(prepare(tf.cast(frames, tf.float32)), training=False)

        self._apply = apply
        # Traced once for each size of batch. Keras leaves the code of layers as it is, too.
        self._traced = tf.function(apply, autograph=False)

    def graph(self) -> tuple[Callable[[Any], Any], Any]:
        """Return the model with its preprocessing, for any number of frames."""
        tf = require("tensorflow")
        return self._apply, tf.TensorSpec((None, self._side, self._side, 3), tf.uint8)

    def encode(self, inputs: Items) -> Matrix:
        """Return the embeddings of any number of frames, `batch` at a time, the last padded."""
        return np.stack(
            in_batches(inputs, self.batch, lambda frames: self._parts.run(frames, self._compute))
        )

    def _compute(self, frames: Any) -> Matrix:
        with self.placed():
            tensor = require("tensorflow").constant(frames)
            found: Matrix = self._traced(tensor).numpy()
        return found


def out_of_memory(error: Exception) -> bool:
    """Tell whether TensorFlow raised that for want of memory."""
    return isinstance(error, require("tensorflow").errors.ResourceExhaustedError)
