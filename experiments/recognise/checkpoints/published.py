"""The authors' checkpoints: TensorFlow's object checkpoints, as Keras 2 wrote them."""

import re
from pathlib import Path

import numpy as np

from avmit import AvmitError
from conversion.wording import first_line, printable
from experiments.extras import require
from experiments.recognise.checkpoints.train_yaml import NAME, read_train_yaml
from experiments.recognise.checkpoints.trained import Trained
from experiments.recognise.networks.architecture import Architecture, Weights

_INDEX = ".ckpt.index"
_LATEST = re.compile(r'^model_checkpoint_path: "([^"/]+)"$', re.MULTILINE)
_VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"
_KINDS = {
    ("bottleneck", "dense_1", "dense_2"): ("layer/kernel", "layer/bias"),
    ("norm",): ("layer/gamma", "layer/beta", "layer/moving_mean", "layer/moving_variance"),
    ("rnn",): ("cell/kernel", "cell/recurrent_kernel", "cell/bias"),
    ("classifier",): ("kernel", "bias"),
}
"""By the end of a layer's name, what Keras 2 calls its variables. The layers of single timesteps
are wrapped in TimeDistributed, and the convolution's kernel is (1, 1, inputs, outputs)."""


def read_published(folder: Path) -> Trained:
    """Read the checkpoint of a folder, by its `train.yaml`.

    Of several, the one that the file `checkpoint` names is taken.

    Raises:
        AvmitError: one of them is not there, or damaged; they are not of the same network; or
            TensorFlow, which reads its checkpoints, is not installed.
    """
    prefix = _prefix(folder)
    architecture, labels = read_train_yaml(folder / NAME)
    where = str(prefix.with_name(f"{prefix.name}.index"))
    weights = _read(prefix, where, architecture, len(labels))
    architecture.check(weights, where)
    return Trained(printable(str(folder)), architecture, labels, weights)


def _prefix(folder: Path) -> Path:
    found = sorted(path.name.removesuffix(".index") for path in folder.glob(f"*{_INDEX}"))
    if not found:
        raise AvmitError(
            f"no checkpoint (*{_INDEX} with its .data file) in {folder}, nor a run of "
            "`avmit recognise --train`"
        )
    if len(found) > 1:
        try:
            text = (folder / "checkpoint").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        named = _LATEST.search(text)
        if named is None or named[1] not in found:
            raise AvmitError(
                f"{len(found)} checkpoints in {folder}, and no file 'checkpoint' that says which: "
                "leave one"
            )
        return folder / named[1]
    return folder / found[0]


def _keys(architecture: Architecture) -> dict[str, str]:
    """Return the variable of each array, by the number that Keras 2 gave its layer.

    It counts layers that have weights by their depth, those of the modalities in turn.
    """
    layers = architecture.layers()
    ends = ["bottleneck", "norm"] if architecture.task == "recognition" else ["dense_1", "dense_2"]
    order = [f"{name}_{end}" for end in ends for name in architecture.modalities]
    keys: dict[str, str] = {}
    for number, layer in enumerate([*order, "rnn", "classifier"]):
        parts = next(parts for ends_, parts in _KINDS.items() if layer.endswith(ends_))
        for name, part in zip(layers[layer], parts, strict=True):
            keys[name] = f"layer_with_weights-{number}/{part}"
    return keys


def _read(prefix: Path, where: str, architecture: Architecture, labels: int) -> Weights:
    """Read the variables that the network has, if they are of its shapes."""
    tf = require("tensorflow", "reading a TensorFlow checkpoint", "'avmit[recognise]'")
    keys, shapes = _keys(architecture), architecture.shapes()
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        there = {key: tuple(map(int, s)) for key, s in reader.get_variable_to_shape_map().items()}
        classes = there.get(keys["classifier.bias"] + _VARIABLE, (labels,))
        if classes != (labels,):
            raise AvmitError(f"{where} has {classes[0]} classes, and {NAME} names {labels}")
        for name, key in keys.items():
            found = there.get(key + _VARIABLE)
            if found is None:
                raise AvmitError(
                    f"{where} has no variable {key}: {NAME} describes another kind of network"
                )
            if _inner(found) != shapes[name]:
                raise AvmitError(
                    f"{where}: {name} is of shape {_inner(found)}, and by {NAME} {shapes[name]}"
                )
        return {
            name: np.asarray(reader.get_tensor(key + _VARIABLE), np.float32).reshape(shapes[name])
            for name, key in keys.items()
        }
    # The bindings raise one of Python's for what the reader finds wrong.
    except (tf.errors.OpError, ValueError, TypeError, RuntimeError, IndexError) as error:
        raise AvmitError(
            f"{where} and its .data file cannot be read ({printable(first_line(error))}): fetch "
            "them again"
        ) from None


def _inner(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a variable, that of a 1x1 convolution's kernel without its extent."""
    return shape[2:] if len(shape) == 4 and shape[:2] == (1, 1) else shape
