"""Weights between the order that Keras has and the one that PyTorch has."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.recognise.networks.architecture import Architecture, Weights

_MATRIX = {"kernel": "rnn.cell.weight_ih_l0", "recurrent_kernel": "rnn.cell.weight_hh_l0"}
_BIASES = ("rnn.cell.bias_ih_l0", "rnn.cell.bias_hh_l0")


def to_torch(architecture: Architecture, weights: Mapping[str, Any]) -> Weights:
    """Return the entries of the module's state dict.

    A `Linear` has its kernel transposed. The gates of a GRU stand in the order reset, update, new,
    and not update, reset, new. Where Keras has one bias of a recurrent layer, the second is zero.
    """
    state: Weights = {}
    for name in architecture.shapes():
        layer, _, part = name.partition(".")
        values = np.asarray(weights[name], np.float32)
        if layer == "rnn":
            values = _swapped(architecture, values)
            if part == "bias":
                both = values if values.ndim == 2 else np.stack([values, np.zeros_like(values)])
                state |= dict(zip(_BIASES, both, strict=True))
            else:
                state[_MATRIX[part]] = values.T
        elif part == "kernel":
            state[f"{layer}.weight"] = values.T
        else:
            state[name] = values
    return {name: np.array(values, order="C") for name, values in state.items()}


def from_torch(architecture: Architecture, state: Mapping[str, Any]) -> Weights:
    """Return the weights of a state dict of arrays; the inverse of `to_torch`."""
    weights: Weights = {}
    for name, shape in architecture.shapes().items():
        layer, _, part = name.partition(".")
        if layer == "rnn":
            if part == "bias":
                values = np.stack([state[bias] for bias in _BIASES])[: len(shape)]
                values = values.reshape(shape)
            else:
                values = state[_MATRIX[part]].T
            values = _swapped(architecture, values)
        elif part == "kernel":
            values = state[f"{layer}.weight"].T
        else:
            values = state[name]
        weights[name] = np.array(values, np.float32, order="C")
    return weights


def _swapped(architecture: Architecture, values: Any) -> Any:
    """Return the values with a GRU's first two gates in each other's place."""
    if architecture.rnn != "gru":
        return values
    first, second, third = np.split(values, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)
