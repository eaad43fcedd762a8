"""Which framework computes a network."""

import importlib.util
from collections.abc import Mapping
from typing import Any, Literal, get_args

from avmit import AvmitError
from experiments.recognise.networks.architecture import Architecture
from experiments.recognise.networks.network import Network

Framework = Literal["keras", "torch"]


def network(
    architecture: Architecture, weights: Mapping[str, Any], framework: Framework | None = None
) -> Network:
    """Return a network with its weights.

    Args:
        architecture: what it is made of.
        weights: its values, in the shapes that Keras gives them.
        framework: `keras` or `torch`; None for Keras if it is installed, or else PyTorch.

    Raises:
        AvmitError: the framework is not installed, or there is none of that name.
    """
    framework = chosen(framework)
    if framework == "keras":
        from experiments.recognise.networks.keras import KerasNetwork

        return KerasNetwork(architecture, weights)
    from experiments.recognise.networks.torch import TorchNetwork

    return TorchNetwork(architecture, weights)


def chosen(framework: Framework | None) -> Framework:
    """Return the framework that is meant, where none is named too.

    Raises:
        AvmitError: there is none of that name.
    """
    if framework is None:
        here = importlib.util.find_spec("keras") is not None
        return "keras" if here or importlib.util.find_spec("torch") is None else "torch"
    if framework not in get_args(Framework):
        raise AvmitError(f"framework={framework!r}: it is one of {', '.join(get_args(Framework))}")
    return framework
