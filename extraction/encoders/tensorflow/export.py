"""A TensorFlow function as an ONNX model."""

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Iterator
from typing import Any

from avmit import AvmitError
from conversion.wording import first_line, printable, some
from extraction.encoders.tensorflow import exported_graph
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
    tf, tf2onnx = require("tensorflow"), require("tf2onnx")
    traceable = tf.function(function, input_signature=[spec], autograph=False)
    try:
        with _quiet():
            traced = traceable.get_concrete_function()
            model, _ = tf2onnx.convert.from_function(traceable, input_signature=[spec], opset=OPSET)
            exported_graph.keep_constants(model.graph, traced.graph.captures)
            lacking = sorted(exported_graph.unknown_operators(model.graph))
            if lacking:
                raise NotExportedError(f"does not export to ONNX, which lacks {some(lacking)}")
            if len(model.graph.input) != 1 or len(model.graph.output) != 1:
                raise NotExportedError("does not export to ONNX with one input and one output")
            exported_graph.put_channels_first(model.graph)
            exported_graph.average_exactly(model)
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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's own lines off the terminal: what is wrong is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
