"""ONNX models for tests, of a few nodes each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
FLOAT, HALF, BYTES = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8

Sizes = Sequence[int | str | None]


def weights(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sizes | None],
    outputs: dict[str, Sizes | None],
    constants: dict[str, npt.NDArray[np.generic]] | None = None,
    *,
    kind: int = FLOAT,
    gives: int = FLOAT,
    opset: int = OPSET,
    external: str | None = None,
) -> Path:
    """Write a model; with `external`, its constants into a file of that name beside it."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, gives, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    path.parent.mkdir(parents=True, exist_ok=True)
    if external is None:
        path.write_bytes(model.SerializeToString())
    else:
        onnx.save(model, path, save_as_external_data=True, location=external, size_threshold=0)
    return path


def node(kind: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def frames_model(
    path: Path,
    width: int = 8,
    *,
    batch: int | str | None = "batch",
    side: int | str | None = 32,
    layout: str = "nchw",
    kind: int = FLOAT,
    known: bool = True,
    external: str | None = None,
) -> Path:
    """Average over the image, and a matrix; with `known` false the shape has no channels."""
    channels: int | str = 3 if known else "channels"
    nchw = layout == "nchw"
    shape: Sizes = (batch, channels, side, side) if nchw else (batch, side, side, channels)
    axes = [2, 3] if nchw else [1, 2]
    return save(
        path,
        [
            node("Cast", "x", "floats", to=FLOAT),
            node("ReduceMean", "floats", "means", axes=axes, keepdims=0),
            node("MatMul", "means matrix", "y"),
        ],
        {"x": shape},
        {"y": (batch, width)},
        {"matrix": weights(3, width)},
        kind=kind,
        external=external,
    )
