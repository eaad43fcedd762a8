"""ONNX models for tests, of a few nodes each, and what they give by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

DTYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "uint8": TensorProto.UINT8,
    "int64": TensorProto.INT64,
    "string": TensorProto.STRING,
}
OPSET = 17

Sizes = Sequence[int | str | None] | None
"""An int is a size; a string or None one that is open; None in all an unknown rank."""


def weights(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sizes],
    outputs: Mapping[str, Sizes],
    constants: Mapping[str, npt.NDArray[Any]] | None = None,
    *,
    dtype: str = "float32",
    opset: int = OPSET,
    ir_version: int = 8,
    external: str | None = None,
) -> Path:
    """Write a model; `external` names a file beside it for its constants."""

    def values(sizes: Mapping[str, Sizes], kind: str) -> list[onnx.ValueInfoProto]:
        make = helper.make_tensor_value_info
        return [make(name, DTYPES[kind], shape) for name, shape in sizes.items()]

    tensors = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(
        list(nodes), "test", values(inputs, dtype), values(outputs, "float32"), tensors
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    path.parent.mkdir(parents=True, exist_ok=True)
    if external is None:
        path.write_bytes(model.SerializeToString())
    else:
        onnx.save(model, path, save_as_external_data=True, location=external, size_threshold=0)
    return path


def colours(
    path: Path,
    shape: Sizes = ("batch", 3, 32, 32),
    *,
    width: int = 8,
    axes: Sequence[int] = (2, 3),
    dtype: str = "float32",
    external: str | None = None,
) -> Path:
    """Average frames over `axes`, and multiply by `weights(3, width)`."""
    nodes = [
        node("Cast", "x", "floats", to=TensorProto.FLOAT),
        node("ReduceMean", "floats", "means", axes=list(axes), keepdims=0),
        node("MatMul", "means matrix", "y"),
    ]
    matrix = {"matrix": weights(3, width)}
    batch = None if shape is None else shape[0]
    return save(
        path, nodes, {"x": shape}, {"y": (batch, width)}, matrix, dtype=dtype, external=external
    )


def sounds(path: Path, shape: Sizes, *, width: int = 4, dtype: str = "float32") -> Path:
    """Convolve sounds, of any of the shapes that take one channel, and average over the time."""
    assert shape is not None
    if len(shape) == 3:
        order = [0, 2, 1] if shape[2] == 1 else [0, 1, 2]
        with_channel = node("Transpose", "floats", "channel", perm=order)
    else:
        with_channel = node("Unsqueeze", "floats axes", "channel")
    nodes = [
        node("Cast", "x", "floats", to=TensorProto.FLOAT),
        with_channel,
        node("Conv", "channel kernels", "filtered", strides=[40]),
        node("Relu", "filtered", "positive"),
        node("ReduceMean", "positive", "y", axes=[2], keepdims=0),
    ]
    batch = shape[0] if len(shape) > 1 else 1
    axes = np.array([1] if len(shape) == 2 else [0, 1])
    constants = {"axes": axes, "kernels": weights(width, 1, 80)}
    return save(path, nodes, {"x": shape}, {"y": (batch, width)}, constants, dtype=dtype)


def heard(windows: npt.NDArray[Any], width: int = 4) -> npt.NDArray[np.float64]:
    """Return what `sounds` gives for windows (N, samples)."""
    pieces = np.lib.stride_tricks.sliding_window_view(windows.astype(np.float64), 80, 1)[:, ::40]
    positive = np.maximum(pieces @ weights(width, 1, 80)[:, 0].T.astype(np.float64), 0)
    return np.asarray(positive.mean(1))


def whole_sound(path: Path, width: int = 4) -> Path:
    """Embed 960 ms each 480 ms of a waveform (N,) at 16 kHz; it fails on a shorter one."""
    nodes = [
        node("Unsqueeze", "x axes", "channel"),
        node("Conv", "channel kernels", "filtered", strides=[7680]),
        node("Squeeze", "filtered first", "rows"),
        node("Transpose", "rows", "y", perm=[1, 0]),
    ]
    constants = {
        "axes": np.array([0, 1]),
        "first": np.array([0]),
        "kernels": weights(width, 1, 15360),
    }
    return save(path, nodes, {"x": ("samples",)}, {"y": ("steps", width)}, constants)


def vectors(path: Path, channels_last: bool = False) -> Path:
    """Give of frames of 8 x 8 three vectors, a map and one embedding, all five wide."""
    nodes = [
        node("Conv", "x kernels", "map", strides=[2, 2]),
        node("Reshape", "map flat", "columns"),
        node("Transpose", "columns", "every", perm=[0, 2, 1]),
        node("Slice", "every zero three one", "tokens"),
        node("ReduceMean", "map", "pooled", axes=[2, 3], keepdims=0),
    ]
    outputs: dict[str, Sizes] = {
        "tokens": ("n", 3, 5),
        "map": ("n", 5, 4, 4),
        "pooled": ("n", 5),
    }
    inputs: dict[str, Sizes] = {"x": ("n", 3, 8, 8)}
    if channels_last:
        nodes = [
            node("Transpose", "nhwc", "x", perm=[0, 3, 1, 2]),
            *nodes,
            node("Transpose", "map", "last", perm=[0, 2, 3, 1]),
        ]
        inputs, outputs = {"nhwc": ("n", 8, 8, 3)}, {"last": ("n", 4, 4, 5)}
    constants = {
        "kernels": weights(5, 3, 2, 2),
        "flat": np.array([0, 5, 16]),
        "zero": np.array([0]),
        "three": np.array([3]),
        "one": np.array([1]),
    }
    return save(path, nodes, inputs, outputs, constants)


def mapped(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the map of `vectors` (N, 4, 4, 5) for frames (N, 8, 8, 3), as 0 to 1."""
    blocks = (frames / 255).reshape(-1, 4, 2, 4, 2, 3)
    kernels = weights(5, 3, 2, 2).astype(np.float64)
    return np.asarray(np.einsum("nyaxbc,kcab->nyxk", blocks, kernels))
