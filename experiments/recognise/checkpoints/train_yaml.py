"""`train.yaml`, in which the authors say how a network was made and trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from avmit import AvmitError
from conversion.whole import read_regular
from conversion.wording import first_line, printable
from experiments.recognise.networks.architecture import DENSE, Architecture, Rnn

NAME = "train.yaml"
PAIRED = ("incongruent", "congruent")
"""What the two outputs of a network for the correspondence task stand for."""

_RNN: dict[str, Rnn] = {"SimpleRNN": "simple", "GRU": "gru", "LSTM": "lstm"}
_MOST = 2**20
_LARGEST = 2**16
"""More than any width, unit or class there is."""


def read_train_yaml(path: Path) -> tuple[Architecture, tuple[str, ...]]:
    """Return the network that a `train.yaml` describes, and its classes.

    Without `label_to_int` it is one of the correspondence task.

    Raises:
        AvmitError: it is not there, is no YAML, or does not describe such a network.
    """
    try:
        document = yaml.safe_load(read_regular(path, _MOST))
    except FileNotFoundError:
        raise AvmitError(
            f"no {NAME} in {path.parent}: it says what the network is made of, and lies beside the "
            "authors' checkpoints"
        ) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise AvmitError(f"{path} cannot be read ({printable(first_line(error))})") from None
    try:
        return _described(document)
    except _Unfit as error:
        raise AvmitError(f"{path}: {error}") from None


class _Unfit(Exception):
    """What is wrong with the description."""


def _described(document: Any) -> tuple[Architecture, tuple[str, ...]]:
    function = str(_value(document, "rnn", "function")).rpartition(".")[2]
    if function not in _RNN:
        raise _Unfit(f"rnn function {printable(function)}, not one of {', '.join(_RNN)}")
    kind = "VGG_style" if _value(document, "data", "VGG_style", "enabled") is True else None
    kind = kind or "mobilenet_style"
    modalities = [name for name in ("audio", "visual") if _value(document, name) is True]
    if len(modalities) < 2:
        raise _Unfit("networks of audio or visual alone are not read")
    recognition = isinstance(document.get("label_to_int"), dict)
    labels = _labels(document["label_to_int"]) if recognition else PAIRED
    if recognition and document.get("bottleneck_activation", "swish") != "swish":
        raise _Unfit(f"bottleneck_activation {document['bottleneck_activation']!r}, not swish")
    architecture = Architecture(
        task="recognition" if recognition else "correspondence",
        widths=tuple(
            (name, _number(document, "data", kind, f"{name}_size")) for name in modalities
        ),
        rnn=_RNN[function],
        units=_number(document, "rnn", "units"),
        bottleneck=_number(document, "bottleneck_size") if recognition else DENSE,
        classes=len(labels),
        timesteps=_number(document, "data", "timesteps"),
    )
    return architecture, labels


def _labels(numbers: Mapping[Any, Any]) -> tuple[str, ...]:
    names = {number: name for name, number in numbers.items() if isinstance(name, str)}
    if not names or sorted(names, key=str) != sorted(range(len(numbers)), key=str):
        raise _Unfit(f"label_to_int does not number its classes from 0 to {len(numbers) - 1}")
    return tuple(names[number] for number in range(len(names)))


def _number(document: Any, *keys: str) -> int:
    value = _value(document, *keys)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST:
        raise _Unfit(f"{'.'.join(keys)} is {value!r}, not a number from 1 to {_LARGEST}")
    return value


def _value(document: Any, *keys: str) -> Any:
    for depth, key in enumerate(keys):
        if not isinstance(document, dict) or key not in document:
            raise _Unfit(f"it has no {'.'.join(keys[: depth + 1])}")
        document = document[key]
    return document
