"""One's own encoder in Python: put `@encoder(...)` over a function or a class.

    from extraction.encoders.custom import Frames, encoder

    @encoder(name="colours", width=3, input=Frames(side=64))
    def colours(frames):            # uint8 (N, 64, 64, 3)
        return frames.mean((1, 2))  # (N, 3)

`avmit extract --encoder-module my_encoders.py --visual colours ...` finds it. In a package, let an
entry point of the group `avmit.encoders`, named as the encoder, lead to it.

What it gets is said by `input`, see `Frames`, `Clips` and `Sound`: in batches of `batch` frames,
clips or windows (the last batch is filled up with its first item), or, of `Sound` without a window,
one whole waveform. It returns float values (N, width), (N, k, width) for k embeddings of each, or
of a whole waveform (T, width). It must give the same for the same input, whatever else is in the
batch.

A class is made once, with the `Settings` of its side (`weights`, `device`, `precision`), and then
called with batches. It may have a method `prepare`, which gets what `input` takes of one video and
returns items, an array or a dict of arrays: it runs in several threads at a time, as do the calls
for whole waveforms.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from extraction.encoders.arrays import BATCH, Items, Matrix, in_batches
from extraction.encoders.base import Encoder, Network, weights_digest
from extraction.encoders.settings import Settings, option
from extraction.media.forms import Clips, Form, Frames, Sound, timing_ms

__all__ = ["Clips", "Frames", "Settings", "Sound", "encoder"]


def encoder(
    *,
    name: str,
    width: int,
    input: Form,
    step_ms: float | None = None,
    window_ms: float | None = None,
    vectors: int = 1,
    batch: int = BATCH,
    weights: Path | str | None = None,
    preprocessing: str = "its own",
    libraries: Sequence[str] = (),
    extra: str = "extraction",
) -> Callable[[Any], "CustomEncoder"]:
    """Make an encoder of the function or class below.

    Args:
        name: how users name it.
        width: values in an embedding.
        input: what it takes of a video.
        step_ms: ms from one embedding to the next, for whole waveforms; else it follows from
            `input`.
        window_ms: ms that an embedding covers, likewise.
        vectors: how many embeddings a frame, clip or window has.
        batch: how many of those go into a call.
        weights: the file or folder with the weights, whose SHA-256 the manifest gets. Without it,
            that of the Python file.
        preprocessing: what it does to its input, for the manifest.
        libraries: modules whose versions bear on the result, for the manifest.
        extra: the extra of avmit that it needs, `extraction` or `transformers`.
    """
    if isinstance(input, Sound) and input.window_s is None and step_ms is None:
        raise AvmitError(f"encoder '{name}' takes whole waveforms: declare its step_ms")
    window, step = timing_ms(input)

    def decorate(make: Any) -> CustomEncoder:
        source = inspect.getsourcefile(make)
        return CustomEncoder(
            name=name,
            width=width,
            input=input,
            window_ms=window if window_ms is None else window_ms,
            step_ms=step if step_ms is None else step_ms,
            vectors=vectors,
            origin=f"{make.__module__.rpartition('.')[2]}.{make.__qualname__}"
            if source is None
            else f"{Path(source).name}, {make.__qualname__}",
            preprocessing=preprocessing,
            libraries=tuple(libraries),
            extra=extra,
            takes=frozenset({"weights", "device", "precision"})
            if isinstance(make, type)
            else frozenset(),
            make=make,
            source=None if source is None else Path(source),
            batch=0 if isinstance(input, Sound) and input.window_s is None else batch,
            file=None if weights is None else Path(weights),
        )

    return decorate


@dataclass(frozen=True, kw_only=True)
class CustomEncoder(Encoder):
    """An encoder that `make` is: a function, or a class whose objects are called."""

    make: Callable[..., Any]
    source: Path | None
    batch: int
    file: Path | None
    settings: Settings = field(default_factory=Settings)

    def configured(self, settings: Settings) -> "CustomEncoder":
        """Return this encoder with settings for its class."""
        return replace(self, settings=settings)

    def load(self, weights: Path | None) -> Network:
        """Make the object; `weights` replaces the file that was declared."""
        file = weights or self.file
        if file is not None and not file.exists():
            raise AvmitError(
                f"no weights of {self.name} at {file}: name them with {option(self.modality)}"
            )
        call = self.make
        if isinstance(self.make, type):
            call = self.make(replace(self.settings, weights=file))
        identity = file or self.source
        digest = hashlib.sha256(b"").hexdigest() if identity is None else weights_digest(identity)
        return _CustomNetwork(self, call, digest)


class _CustomNetwork(Network):
    def __init__(self, described: CustomEncoder, call: Callable[[Any], Any], digest: str):
        self.batch = described.batch
        self.weights_sha256 = digest
        self._described = described
        self._call = call

    def prepare(self, taken: npt.NDArray[Any]) -> Items:
        """Let the object prepare it, if it can."""
        own = getattr(self._call, "prepare", None)
        if own is None:
            return taken
        items = own(taken)
        return items if isinstance(items, Mapping) else np.asarray(items)

    def encode(self, inputs: Any) -> Sequence[Matrix]:
        """Call it with batches, and check the shape of what it gives."""
        if self.batch:
            return in_batches(inputs, self.batch, self._run)
        found = _single(self._call(inputs))
        self._check(found, found.ndim == 2)
        return list(found)

    def _run(self, items: Items) -> Matrix:
        found = _single(self._call(items))
        self._check(found, found.ndim in (2, 3) and len(found) == self.batch)
        return found

    def _check(self, found: Matrix, shaped: bool) -> None:
        encoder = self._described
        if not shaped or found.shape[-1] != encoder.width:
            wanted = f"{self.batch or 'T'}, {encoder.width}"
            raise AvmitError(
                f"{encoder.name} gives an array of shape {found.shape}, not ({wanted}): "
                f"mend {encoder.origin}"
            )


def _single(values: Any) -> npt.NDArray[Any]:
    """Return values as an array, float64 as float32."""
    found = np.asarray(values)
    return found.astype(np.float32) if found.dtype.kind == "f" else found
