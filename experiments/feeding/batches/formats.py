"""Batches as the tensors of a framework, without another copy where the framework permits it."""

import contextlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from experiments.extras import require
from experiments.feeding.batches.memory import as_aligned
from experiments.feeding.batches.options import Format
from experiments.feeding.rows.columns import Matrix, Numbers


class Formatter(ABC):
    """Turns the arrays of a batch into tensors."""

    @abstractmethod
    def tensor(self, array: Any) -> Any:
        """Return an array, which nobody else has, as a tensor."""

    def jagged(self, name: str, values: Matrix, offsets: Numbers) -> dict[str, Any]:
        """Return what stands in a batch for arrays that lie one after the other."""
        return {f"{name}_values": self.tensor(values), f"{name}_offsets": self.tensor(offsets)}

    def batch(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Return the columns with tensors for arrays; lists stay what they are."""
        return {
            name: self.tensor(column) if isinstance(column, np.ndarray) else column
            for name, column in columns.items()
        }


class _Numpy(Formatter):
    def tensor(self, array: Any) -> Any:
        return array


class TorchFormatter(Formatter):
    """Makes tensors that share the arrays' memory."""

    def __init__(self) -> None:
        self._torch = require("torch", 'format="torch"')

    def tensor(self, array: Any) -> Any:
        """Return a tensor of the array's memory."""
        return self._torch.from_numpy(array)

    def jagged(self, name: str, values: Matrix, offsets: Numbers) -> dict[str, Any]:
        """Return a nested tensor of the arrays' memory."""
        return self.nested(name, self.tensor(values), self.tensor(offsets))

    def nested(self, name: str, values: Any, offsets: Any) -> dict[str, Any]:
        """Return a nested tensor of what are tensors already."""
        return {name: self._torch.nested.nested_tensor_from_jagged(values, offsets)}


class _TensorFlow(Formatter):
    def __init__(self) -> None:
        self._tf = require("tensorflow", 'format="tensorflow"')
        self._taken = "iuf"
        """The kinds of arrays that are taken without a copy: of booleans not all releases do."""
        with contextlib.suppress(Exception):
            self._tf.experimental.dlpack.from_dlpack(as_aligned(np.ones(1, bool)).__dlpack__())
            self._taken = "iufb"

    def tensor(self, array: Any) -> Any:
        if array.dtype.kind not in self._taken:
            return self._tf.convert_to_tensor(array)
        # TensorFlow's operations abort on arrays that are not aligned.
        return self._tf.experimental.dlpack.from_dlpack(as_aligned(array).__dlpack__())

    def jagged(self, name: str, values: Matrix, offsets: Numbers) -> dict[str, Any]:
        ragged = self._tf.RaggedTensor.from_row_splits(
            self.tensor(values), self.tensor(offsets), validate=False
        )
        return {name: ragged}


class _Jax(Formatter):
    def __init__(self) -> None:
        self._jax = require("jax", 'format="jax"')

    def tensor(self, array: Any) -> Any:
        # To the default device; on a CPU without a copy, if it is aligned. Numbers are of 32 bits
        # to JAX, unless it is told otherwise.
        return self._jax.device_put(array)


_FORMATTERS: dict[Format, type[Formatter]] = {
    "numpy": _Numpy,
    "torch": TorchFormatter,
    "tensorflow": _TensorFlow,
    "jax": _Jax,
}


def formatter(name: Format) -> Formatter:
    """Return what makes the tensors of a framework.

    Raises:
        AvmitError: the framework is not installed.
    """
    return _FORMATTERS[name]()
