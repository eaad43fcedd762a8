"""A TensorFlow function as an ONNX model."""

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from avmit import AvmitError
from conversion.wording import first_line, printable, some
from extraction.extras import require

OPSET = 17
"""The operators of the model: the latest that tf2onnx writes without a warning is 18, and ONNX
Runtime has had these since 1.12."""
COMPUTES = "onnxruntime"
PACKAGES = ("onnx", "tf2onnx")


class NotExportedError(Exception):
    """A network cannot be computed by ONNX Runtime; the text goes on after its name."""


def export(function: Callable[[Any], Any], spec: Any) -> bytes:
    """Return a function of one tensor like `spec` as an ONNX model, with all its constants.

    Raises:
        NotExportedError: it has what ONNX does not.
        AvmitError: tf2onnx is missing.
    """
    tf, tf2onnx, onnx = require("tensorflow"), require("tf2onnx"), require("onnx")
    traceable = tf.function(function, input_signature=[spec], autograph=False)
    try:
        with _quiet():
            traced = traceable.get_concrete_function()
            model, _ = tf2onnx.convert.from_function(traceable, input_signature=[spec], opset=OPSET)
            _keep_constants(model, traced.graph.captures, tf, onnx)
            _average_exactly(model, onnx)
            lacking = sorted(_unknown(model.graph, onnx))
            if lacking:
                raise NotExportedError(f"does not export to ONNX, which lacks {some(lacking)}")
            if len(model.graph.input) != 1 or len(model.graph.output) != 1:
                raise NotExportedError("does not export to ONNX with one input and one output")
            content: bytes = model.SerializeToString()
    except (AvmitError, NotExportedError):
        raise
    except Exception as error:  # TensorFlow, tf2onnx and protobuf raise what they like
        said = printable(first_line(error))
        raise NotExportedError(f"does not export to ONNX ({said})") from error
    return content


def missing_packages() -> list[str]:
    """Name what is not installed, or does not load, of that which exports and computes."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    try:
        require(COMPUTES)  # some systems lack libraries that it needs
    except AvmitError:
        missing.append(COMPUTES)
    return missing


def _keep_constants(model: Any, captures: Any, tf: Any, onnx: Any) -> None:
    """Make constants of the tensors that a function has from outside: tf2onnx asks for them.

    Such are the mean and the variance of Keras 3's normalization layer.
    """
    values = {inside.name: outside for outside, inside in captures if outside.dtype != tf.resource}
    inputs = list(model.graph.input)
    del model.graph.input[:]
    for one in inputs:
        if one.name in values:
            array = values[one.name].numpy()
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, one.name))
        else:
            model.graph.input.append(one)


def _average_exactly(model: Any, onnx: Any) -> None:
    """Let the average over an image be summed in the order of TensorFlow.

    In the layout that ONNX Runtime takes for convolutions on CPUs it sums in another, by which
    EfficientNetB0 on frames of one colour gets 9e-5 of the largest value away; behind a change of
    shape it leaves that layout (4e-7).
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    ranks = {one.name: len(one.type.tensor_type.shape.dim) for one in inferred}
    shape = onnx.numpy_helper.from_array(np.array([0, 0, -1, 1], np.int64), "avmit/one_column")
    model.graph.initializer.append(shape)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "GlobalAveragePool" and ranks.get(node.input[0]) == 4:
            column = f"{node.output[0]}/column"
            model.graph.node.append(
                onnx.helper.make_node("Reshape", [node.input[0], shape.name], [column])
            )
            node.input[0] = column
        model.graph.node.append(node)


def _unknown(graph: Any, onnx: Any) -> set[str]:
    """Name the operators of a graph, and of graphs inside, that ONNX has not; TensorFlow's stay."""
    found = set()
    for node in graph.node:
        if not node.domain and not onnx.defs.has(node.op_type):
            found.add(node.op_type)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found |= _unknown(inner, onnx)
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's own lines off the terminal: what is wrong is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
