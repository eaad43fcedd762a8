"""`avmit encoders check`: does an encoder keep to the contract?"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import Matrix, split, stack
from extraction.encoders.base import Side, matrices
from extraction.encoders.foreign import explain, no_exit
from extraction.media.forms import Sound, windows
from extraction.media.noise import noise

CLOSE = 1e-5
"""The most that embeddings may differ, as a part of the largest value, by what is beside them."""

_SIZE = (128, 160)  # height, width


def check_side(side: Side) -> Iterator[tuple[str, str | None]]:
    """Try a loaded encoder on noise; yield what is tried, and what does not hold or else None."""
    tried = _Tried(side)
    for what, trial in _TRIALS.items():
        if side.network.batch == 0 and trial is _one_by_one:
            continue
        try:
            with no_exit(side.encoder.name):
                problem = trial(tried)
        except AvmitError as error:
            problem = first_line(error)
        except Exception as error:  # anybody's code
            problem = f"raises {explain(error)}"
        yield what, problem


class _Tried:
    """An encoder, and what it gives for three seconds of noise."""

    def __init__(self, side: Side):
        self.encoder = side.encoder
        self.network = side.network

    @cached_property
    def returned(self) -> Any:
        """What the network itself returns."""
        return self.network.encode(self.network.prepare(self.noise()))

    @property
    def found(self) -> list[Matrix]:
        """A matrix (k, width) for each item, or for each embedding of a whole input."""
        return matrices(self.returned)

    def embed(self, taken: npt.NDArray[Any]) -> list[Matrix]:
        """Return the same for another input."""
        return matrices(self.network.encode(self.network.prepare(taken)))

    def noise(self, length_s: float = 3.0, seed: int = 0) -> npt.NDArray[Any]:
        """Return what the encoder takes of a video of noise."""
        return noise(self.encoder.input, length_s, seed, _SIZE)


def _width(tried: _Tried) -> str | None:
    found = {matrix.shape[-1] for matrix in tried.found}
    return None if found == {tried.encoder.width} else f"{sorted(found)} found"


def _dtype(tried: _Tried) -> str | None:
    found = sorted({str(np.asarray(one).dtype) for one in tried.returned})
    return None if found == ["float32"] else f"{', '.join(found)} found"


def _finite(tried: _Tried) -> str | None:
    good = all(np.isfinite(matrix).all() for matrix in tried.found)
    return None if good else "there are values that are no numbers"


def _timing(tried: _Tried) -> str | None:
    encoder, found = tried.encoder, tried.found
    if tried.network.batch:
        taken = tried.noise()
        if len(found) != len(taken):
            return f"{len(taken)} frames, clips or windows give {len(found)}"
        counts = {len(matrix) for matrix in found}
        wrong = f"{sorted(counts)} embeddings of each, {encoder.vectors} expected"
        return None if counts == {encoder.vectors} else wrong
    if encoder.step_ms is None:
        return None if len(found) == 1 else f"{len(found)} embeddings of a whole video"
    longer = len(tried.embed(tried.noise(9.0))) - len(found)
    expected = 6000 / encoder.step_ms
    if abs(longer - expected) <= 1:
        return None
    return f"six seconds more give {longer} more, {expected:.1f} expected"


def _determinism(tried: _Tried) -> str | None:
    same = _same(tried.found, tried.embed(tried.noise()))
    return None if same else "the same input gives other values a second time"


def _discerning(tried: _Tried) -> str | None:
    same = _same(tried.found, tried.embed(tried.noise(seed=1)))
    return "every input gives the same" if same else None


def _one_by_one(tried: _Tried) -> str | None:
    items = split(tried.network.prepare(tried.noise()))
    together = tried.found
    worst = 0.0
    for index in sorted({0, len(items) // 2, len(items) - 1}):
        (alone,) = matrices(tried.network.encode(stack([items[index]])))
        if alone.shape != together[index].shape:
            return f"item {index}: {together[index].shape} in a batch, {alone.shape} alone"
        largest = float(np.abs(together[index]).max()) or 1.0
        worst = max(worst, float(np.abs(alone - together[index]).max()) / largest)
    return None if worst <= CLOSE else f"they differ by {worst:.1g} of the largest value"


def _short(tried: _Tried) -> str | None:
    taken = tried.noise(0.05)
    return _tolerated(tried, taken if isinstance(tried.encoder.input, Sound) else taken[:1])


def _empty(tried: _Tried) -> str | None:
    form = tried.encoder.input
    if isinstance(form, Sound):
        return _tolerated(tried, windows(np.zeros(0, np.float32), form))
    return None


def _tolerated(tried: _Tried, taken: npt.NDArray[Any]) -> str | None:
    """Check that there are embeddings, none, or an error of our own."""
    try:
        found = tried.embed(taken)
    except AvmitError:
        return None
    widths = {matrix.shape[-1] for matrix in found}
    return None if widths <= {tried.encoder.width} else f"widths {sorted(widths)} found"


def _same(first: Sequence[Matrix], second: Sequence[Matrix]) -> bool:
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in pairs)


_TRIALS: dict[str, Callable[[_Tried], str | None]] = {
    "width is as declared": _width,
    "values are float32": _dtype,
    "values are finite": _finite,
    "timing is as declared": _timing,
    "the same input gives the same": _determinism,
    "other input gives something else": _discerning,
    "in a batch and one by one is the same": _one_by_one,
    "a short input is taken or refused": _short,
    "an empty input is taken or refused": _empty,
}
