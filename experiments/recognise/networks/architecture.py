"""What the paper's networks are made of, in numbers that no framework owns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from avmit import AvmitError

Task = Literal["recognition", "correspondence"]
Rnn = Literal["simple", "gru", "lstm"]
Weights = dict[str, np.ndarray[Any, np.dtype[np.float32]]]
"""Arrays by `layer.part`, each in the shape that Keras gives it."""

TIMESTEPS = 7
"""What the paper pads every video to; the padding is not masked (arXiv 2308.09685)."""

DENSE = 128
"""Units of both dense layers of a modality in the correspondence task."""

BATCH_NORM = {"momentum": 0.99, "epsilon": 1e-3}
"""Keras' own, which the paper's networks were trained with."""

_GATES: dict[Rnn, int] = {"simple": 1, "gru": 3, "lstm": 4}

NORM_EPSILON = 1e-12
"""Where the squares of a vector add up to less, it is divided by the root of this, as by Keras."""

DISTANCE_EPSILON = 1e-7
"""The least of a squared distance, since the root has no gradient at zero: Keras' epsilon."""


@dataclass(frozen=True)
class Architecture:
    """One of the paper's networks.

    Recognition: per modality a 1x1 convolution to `bottleneck` channels, batch normalization and
    swish; put side by side; a recurrent layer; a dense layer with softmax. Correspondence: per
    modality two dense layers of `bottleneck` units and L2 normalization; the Euclidean distance of
    the two in each timestep; a recurrent layer; a dense layer with softmax over two.

    `widths` has (modality, width) of what goes in, audio first; `dropout` is that of what goes into
    the recurrent layer, in training.
    """

    task: Task
    widths: tuple[tuple[str, int], ...]
    rnn: Rnn
    units: int
    bottleneck: int
    classes: int
    dropout: float = 0.0
    timesteps: int = TIMESTEPS

    def __post_init__(self) -> None:
        if self.task == "correspondence" and len(self.widths) != 2:
            raise AvmitError("the correspondence of two modalities needs both audio and visual")

    @property
    def modalities(self) -> list[str]:
        """The names of what goes in."""
        return [name for name, _ in self.widths]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array of weights, in the order of the layers."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, width in self.widths:
            if self.task == "recognition":
                shapes |= _dense(f"{name}_bottleneck", width, self.bottleneck)
                parts = ("gamma", "beta", "mean", "variance")
                shapes |= {f"{name}_norm.{part}": (self.bottleneck,) for part in parts}
            else:
                shapes |= _dense(f"{name}_dense_1", width, self.bottleneck)
                shapes |= _dense(f"{name}_dense_2", self.bottleneck, self.bottleneck)
        joined = self.bottleneck * len(self.widths) if self.task == "recognition" else 1
        gates = _GATES[self.rnn] * self.units
        shapes["rnn.kernel"] = (joined, gates)
        shapes["rnn.recurrent_kernel"] = (self.units, gates)
        # Of a GRU with `reset_after` the input and the state have a bias each.
        shapes["rnn.bias"] = (2, gates) if self.rnn == "gru" else (gates,)
        return shapes | _dense("classifier", self.units, self.classes)

    def layers(self) -> dict[str, list[str]]:
        """Return the names of each layer's arrays, in Keras' order."""
        layers: dict[str, list[str]] = {}
        for name in self.shapes():
            layers.setdefault(name.partition(".")[0], []).append(name)
        return layers

    def check(self, weights: Mapping[str, Any], where: str) -> None:
        """Refuse weights that are not of this network.

        Raises:
            AvmitError: an array is missing, of another shape, or has values that are no numbers.
        """
        for name, shape in self.shapes().items():
            if name not in weights:
                raise AvmitError(f"{where} has no {name}: it is not of the network described there")
            found = tuple(np.shape(weights[name]))
            if found != shape:
                raise AvmitError(f"{where}: {name} is of shape {found}, not {shape}")
            if not np.isfinite(weights[name]).all():
                raise AvmitError(f"{where}: {name} has values that are no finite numbers")


def initial_weights(architecture: Architecture, seed: int) -> Weights:
    """Return the weights that training starts from, the same for each framework.

    They are distributed as Keras' defaults are: Glorot's uniform kernels, an orthogonal recurrent
    one, biases of zero, but for one of an LSTM's forget gate.
    """
    generator = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in architecture.shapes().items():
        part = name.partition(".")[2]
        if part == "recurrent_kernel":
            values = _orthogonal(generator, shape[0], shape[1])
        elif part == "kernel":
            limit = np.sqrt(6 / sum(shape))
            values = generator.uniform(-limit, limit, shape)
        else:
            values = np.full(shape, float(part in ("gamma", "variance")))
        if name == "rnn.bias" and architecture.rnn == "lstm":
            values[architecture.units : 2 * architecture.units] = 1
        weights[name] = values.astype(np.float32)
    return weights


def _dense(layer: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{layer}.kernel": (inputs, outputs), f"{layer}.bias": (outputs,)}


def _orthogonal(generator: np.random.Generator, rows: int, columns: int) -> Any:
    q, r = np.linalg.qr(generator.standard_normal((columns, rows)))
    return (q * np.sign(np.diag(r))).T
