"""Audio networks that are TensorFlow SavedModels and take one waveform a call."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.base import check_width, weights_digest
from extraction.encoders.caches import kept_by_kaggle, nothing_is_fetched
from extraction.encoders.settings import option
from extraction.encoders.tensorflow.encoder import TensorFlowEncoder
from extraction.encoders.tensorflow.network import TensorFlowNetwork, device, tensorflow
from extraction.extras import require


@dataclass(frozen=True, kw_only=True)
class SavedModelEncoder(TensorFlowEncoder):
    """A SavedModel on Kaggle, `handle`; `embeddings` picks them out of what a call returns."""

    handle: str
    embeddings: Callable[[Any], Any]

    def find_weights(self, weights: Path | None) -> Path:
        """Return the folder `weights` of the SavedModel, or the one that Kaggle has."""
        folder = weights or self._fetch()
        if not (folder / "saved_model.pb").is_file():
            raise AvmitError(
                f"no saved_model.pb in {folder}: {option('audio')} takes the folder of a "
                f"TensorFlow SavedModel, as unpacked from {page(self.handle)}"
            )
        return folder

    def load(self, weights: Path | None) -> TensorFlowNetwork:
        """Load the SavedModel."""
        tensorflow()
        folder = self.find_weights(weights)
        on = device(self.device)
        try:
            network = SavedModelNetwork(folder, self.embeddings, on)
            found = network.encode(np.zeros(3 * 16_000, np.float32)).shape
        except Exception as error:  # TensorFlow raises what it likes
            raise AvmitError(
                f"{folder} cannot be called as {self.name} ({first_line(error)}): "
                f"take the SavedModel from {page(self.handle)}"
            ) from error
        check_width(self, found, folder)
        return network

    def _fetch(self) -> Path:
        advice = f"unpack it, and name its folder with {option('audio')}"
        return fetch_from_kaggle(self.handle, self.name, advice)


def fetch_from_kaggle(handle: str, name: str, advice: str) -> Path:
    """Fetch a SavedModel, or find it in the cache, and return its folder.

    Raises:
        AvmitError: it cannot be had; the text has the page, and `advice` for what comes from there.
    """
    kagglehub = require("kagglehub")
    if nothing_is_fetched() and (kept := kept_by_kaggle(handle)) is not None:
        return kept
    try:
        return Path(kagglehub.model_download(handle))
    except Exception as error:  # whatever its HTTP client raises
        raise AvmitError(
            f"cannot fetch the weights of {name} ({first_line(error)}): bring the SavedModel from "
            f"{page(handle)}, {advice}"
        ) from error


def page(handle: str) -> str:
    """Return where a person finds a model of Kaggle."""
    return f"https://www.kaggle.com/models/{handle}"


class SavedModelNetwork(TensorFlowNetwork):
    """A loaded SavedModel that maps a waveform (N,) to embeddings (T, width)."""

    def __init__(self, folder: Path, embeddings: Callable[[Any], Any], device: str):
        super().__init__(device)
        self._tf = require("tensorflow")
        with self.placed():
            self._model = self._tf.saved_model.load(str(folder))
        self._embeddings = embeddings
        self.weights_sha256 = weights_digest(folder)

    def graph(self) -> tuple[Callable[[Any], Any], Any]:
        """Return the SavedModel with the choice of its embeddings, for a waveform."""
        spec = self._tf.TensorSpec((None,), self._tf.float32)
        return lambda waveform: self._embeddings(self._model(waveform)), spec

    def encode(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the embeddings of one waveform."""
        with self.placed():
            returned = self._model(self._tf.constant(inputs, self._tf.float32))
            found: npt.NDArray[np.float32] = self._embeddings(returned).numpy()
        return found
