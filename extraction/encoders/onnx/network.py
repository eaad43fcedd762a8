"""An ONNX model at work: on batches of frames or windows, or on whole waveforms."""

from typing import Any

import numpy as np
import numpy.typing as npt

from extraction.encoders.arrays import Matrix, in_batches
from extraction.encoders.base import Network
from extraction.encoders.onnx.feed import Feed
from extraction.encoders.onnx.outputs import Rows
from extraction.encoders.timing import least_samples, timing_of
from extraction.media.forms import Sound
from extraction.media.noise import noise


class OnnxNetwork(Network):
    """Runs a session on `batch` items at a time, of those that `feed` makes."""

    def __init__(self, session: Any, feed: Feed, rows: Rows, batch: int, workers: int):
        self.batch = batch
        self.workers = workers
        self._session = session
        self._feed = feed
        self._rows = rows

    def prepare(self, taken: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return frames or sound of a video, normalized and laid out as the model takes them."""
        return self._feed.items(taken)

    def probe(self, again: bool) -> Matrix:
        """Return what it gives for the first item of noise, (k, width); `again` tries others too.

        Raises:
            AvmitError: that is not of one width, or not what embeddings can be.
        """
        for seed in range(3 if again else 1):
            taken = noise(self._feed.form, seed=seed)[: self.batch]
            first = self.encode(self.prepare(taken))[0]
        return first if first.ndim == 2 else first[None]

    def encode(self, inputs: npt.NDArray[Any]) -> list[Matrix]:
        """Return the embeddings of any number of items.

        Raises:
            AvmitError: they are not numbers, or of another width than before.
        """
        return in_batches(inputs, self.batch, self._computed)

    def _computed(self, items: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return self._rows.of_batch(self._run(self._feed.array(items)), len(items))

    def _run(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        (found,) = self._session.run([self._rows.name], {self._feed.input.name: values})
        return np.asarray(found)


class WholeSound(OnnxNetwork):
    """Runs a session on a whole waveform a call."""

    def __init__(self, session: Any, feed: Feed, rows: Rows):
        super().__init__(session, feed, rows, 0, 1)
        self._least = 0

    def probe(self, again: bool) -> Matrix:
        """Return what it gives for noise, (T, width), and find out the timing."""
        assert isinstance(self._feed.form, Sound)
        rate = self._feed.form.rate
        probe = self.encode(self.prepare(noise(self._feed.form)))
        self.found = timing_of(self._steps, rate)
        self._least = least_samples(self._steps, 1, 3 * rate)
        return probe

    def encode(self, inputs: npt.NDArray[Any]) -> Matrix:  # type: ignore[override]
        """Return the embeddings of a waveform; none of one that is too short for the model.

        Raises:
            AvmitError: they are not numbers, or of another width than before.
        """
        try:
            return self._rows.of_whole(self._run(inputs))
        except Exception:
            if len(inputs) >= self._least:
                raise
            return np.zeros((0, self._rows.width or 0), np.float32)

    def _steps(self, samples: int) -> int:
        assert isinstance(self._feed.form, Sound)
        sound = noise(self._feed.form, samples / self._feed.form.rate)
        try:
            return len(self._rows.of_whole(self._run(self.prepare(sound))))
        except Exception:  # too short for it
            return 0
