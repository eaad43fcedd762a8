"""From what an ONNX model gives to embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import printable
from extraction.encoders.arrays import pick
from extraction.encoders.onnx.graph import Shape
from extraction.encoders.settings import Modality, Settings, option

_NUMBERS = ("tensor(float)", "tensor(float16)", "tensor(double)")


@dataclass(frozen=True)
class _Output:
    shape: Shape


def choose(
    outputs: Sequence[Any], wanted: str | None, model: str, modality: Modality
) -> tuple[str, bool]:
    """Return the output `wanted`, an index or a name, or the only one: its name.

    Beside it, whether the model declares its width.

    Raises:
        AvmitError: there is no such one, there are several and none is named, or none of numbers.
    """
    named = {
        one.name: _Output(tuple(size if isinstance(size, int) else None for size in one.shape))
        for one in outputs
        if one.type in _NUMBERS
    }
    if not named:
        listed = printable(", ".join(f"{one.name} {one.type}" for one in outputs)) or "none at all"
        raise AvmitError(f"{model} has no output of floats, but {listed}: export it with one")
    name = pick(named, wanted, model, modality)
    return name, bool(named[name].shape) and None not in named[name].shape[1:]


class Rows:
    """Takes embeddings out of the output `name`, by `settings.pooling` where there are several.

    Vectors (batch, k, width) and maps (batch, channels, height, width), or with `channels_last`
    (batch, height, width, channels), become one embedding of each item: their mean by default,
    `cls` the first vector; or with `none` all of them. `pooling` is what was done, if anything.
    """

    def __init__(
        self, model: str, name: str, modality: Modality, settings: Settings, channels_last: bool
    ):
        self.name = name
        self.pooling: str | None = None
        self._what = f"output {printable(name)} of {model}"
        self._modality = modality
        self._asked = settings.pooling
        self._channels_last = channels_last
        self.width: int | None = None

    def of_batch(self, found: npt.NDArray[Any], count: int) -> npt.NDArray[np.float32]:
        """Return (count, width), or (count, k, width) of several embeddings each.

        Raises:
            AvmitError: they are of another shape, or no numbers.
        """
        values = found
        if count == 1 and (values.ndim < 2 or len(values) != 1):
            values = values[None]  # of a model without a batch
        if values.ndim not in (2, 3, 4) or len(values) != count:
            raise self._misshapen(found, f"({count}, width) or ({count}, vectors, width)")
        if values.ndim == 4 and not self._channels_last:
            values = np.moveaxis(values, 1, -1)
        vectors = values.ndim > 2
        if vectors:
            values = self._pooled(values.reshape(count, -1, values.shape[-1]), values.ndim == 4)
        elif self._asked is not None:
            raise AvmitError(
                f"{self._what} is {_shape(found)}, one vector of each: leave "
                f"{option(self._modality, 'pooling')} away"
            )
        return self._checked(values)

    def of_whole(self, found: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return (T, width), of a whole waveform.

        Raises:
            AvmitError: they are of another shape, or no numbers.
        """
        values = found
        if values.ndim == 3 and len(values) == 1:
            values = values[0]
        if values.ndim == 1:
            values = values[None]
        if values.ndim != 2:
            raise self._misshapen(found, "(T, width)")
        return self._checked(values)

    def _pooled(self, vectors: npt.NDArray[Any], of_map: bool) -> npt.NDArray[Any]:
        how = self.pooling = self._asked or "mean"
        if how == "cls" and of_map:
            raise AvmitError(
                f"{self._what} has no vector for the whole: choose "
                f"{option(self._modality, 'pooling')} mean or none"
            )
        if how == "none":
            return vectors
        return vectors[:, 0] if how == "cls" else vectors.astype(np.float32).mean(1)

    def _checked(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        width = values.shape[-1]
        if self.width not in (None, width) or not width:
            raise AvmitError(
                f"{self._what} is {width} wide, and was {self.width or 0} before: pick one of a "
                f"fixed width with {option(self._modality, 'output')}"
            )
        self.width = width
        if not np.isfinite(values).all():
            raise AvmitError(
                f"{self._what} has values that are no numbers: mend the model, or export it as "
                "float32"
            )
        return values.astype(np.float32, copy=False)

    def _misshapen(self, found: npt.NDArray[Any], wanted: str) -> AvmitError:
        return AvmitError(
            f"{self._what} is {_shape(found)}, not {wanted}: pick another with "
            f"{option(self._modality, 'output')}"
        )


def _shape(found: npt.NDArray[Any]) -> str:
    return f"({', '.join(map(str, found.shape))})"
