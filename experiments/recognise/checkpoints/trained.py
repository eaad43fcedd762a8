"""A trained network, read from wherever it was."""

from dataclasses import dataclass

from experiments.recognise.networks.architecture import Architecture, Weights


@dataclass(frozen=True)
class Trained:
    """A network's make and weights; `labels` are in the order of its outputs."""

    name: str
    architecture: Architecture
    labels: tuple[str, ...]
    weights: Weights
