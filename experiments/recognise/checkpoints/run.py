"""Networks that `avmit recognise --train` made."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from avmit import AvmitError
from conversion.wording import printable
from experiments.recognise.checkpoints.trained import Trained
from experiments.recognise.networks.architecture import Architecture, Rnn, Task
from experiments.recognise.runs.run_folder import CONFIG, read_run

_MOST = 2**16


def read_trained(folder: Path) -> Trained:
    """Read the network that a finished run kept.

    Raises:
        AvmitError: the run is not finished, or its files are damaged.
    """
    config, weights = read_run(folder)
    try:
        architecture = _architecture(config["architecture"])
        labels = tuple(map(str, config["labels"]))
        if len(labels) != architecture.classes:
            raise ValueError("labels")
    except (KeyError, TypeError, ValueError) as error:
        raise AvmitError(
            f"{folder / CONFIG} does not describe a network ({printable(str(error))}): take it "
            "from a copy, or train again into another --out"
        ) from None
    architecture.check(weights, str(folder))
    return Trained(printable(str(folder)), architecture, labels, weights)


def _architecture(document: dict[str, Any]) -> Architecture:
    values = {field.name: document[field.name] for field in fields(Architecture)}
    values["widths"] = tuple((str(name), width) for name, width in values["widths"])
    for name in ("units", "bottleneck", "classes", "timesteps"):
        if type(values[name]) is not int or not 0 < values[name] <= _MOST:
            raise ValueError(name)
    if not all(type(width) is int and 0 < width <= _MOST for _, width in values["widths"]):
        raise ValueError("widths")
    if values["rnn"] not in get_args(Rnn) or values["task"] not in get_args(Task):
        raise ValueError("rnn or task")
    return Architecture(**values)
