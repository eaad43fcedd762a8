"""What is changed in a graph of tf2onnx, so that ONNX Runtime computes the same, and fast."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from extraction.extras import require

_SCALING = {"Cast", "Add", "Sub", "Mul", "Div"}


def keep_constants(graph: Any, captures: Any) -> None:
    """Make constants of the tensors that a function has from outside: tf2onnx asks for them.

    Such are the mean and the variance of Keras 3's normalization layer.
    """
    tf, onnx = require("tensorflow"), require("onnx")
    values = {inside.name: outside for outside, inside in captures if outside.dtype != tf.resource}
    inputs = list(graph.input)
    del graph.input[:]
    for one in inputs:
        if one.name in values:
            array = values[one.name].numpy()
            graph.initializer.append(onnx.numpy_helper.from_array(array, one.name))
        else:
            graph.input.append(one)


def put_channels_first(graph: Any) -> None:
    """Turn frames to channels first before they are scaled, not after; the numbers are the same.

    ONNX Runtime is slow at a number for each channel where those are last: by that EfficientNetB0
    takes 1.2 of 13 ms a frame.
    """
    onnx = require("onnx")
    constants = {one.name: one for one in graph.initializer}
    users: dict[str, list[Any]] = {one.name: [None] for one in graph.output}
    for node in _nodes(graph):
        for name in node.input:
            users.setdefault(name, []).append(node)
    frames = name = graph.input[0].name
    chain: list[Any] = []
    while _is_scaled(name, users.get(name, []), constants):
        chain += users[name]
        name = chain[-1].output[0]
    if not chain or not _is_turned(users.get(name, [])):
        return
    [turning] = users[name]
    for node in chain:
        for at, one in enumerate(node.input):
            if one in constants and constants[one].dims:
                values = onnx.numpy_helper.to_array(constants[one]).reshape(-1, 1, 1)
                node.input[at] = f"{node.output[0]}/of_channels"
                graph.initializer.append(onnx.numpy_helper.from_array(values, node.input[at]))
            elif one == frames:
                node.input[at] = f"{frames}/channels_first"
    chain[-1].output[0] = turning.output[0]
    turning.input[0], turning.output[0] = frames, f"{frames}/channels_first"
    moved = [turning, *chain]
    others = [node for node in graph.node if all(node is not one for one in moved)]
    del graph.node[:]
    graph.node.extend([*moved, *others])
    del graph.value_info[:]  # shapes of before


def _is_scaled(name: str, users: list[Any], constants: dict[str, Any]) -> bool:
    """Tell whether one node alone has a tensor, and does the same to each value of a channel."""
    if len(users) != 1 or users[0] is None or users[0].op_type not in _SCALING:
        return False
    others = [constants.get(one) for one in users[0].input if one != name]
    return all(one is not None and {1, *one.dims[:-1]} == {1} for one in others)


def _is_turned(users: list[Any]) -> bool:
    """Tell whether one node alone has a tensor, and puts its channels first."""
    if len(users) != 1 or users[0] is None or users[0].op_type != "Transpose":
        return False
    return [list(attribute.ints) for attribute in users[0].attribute] == [[0, 3, 1, 2]]


def average_exactly(model: Any) -> None:
    """Let the average over an image be summed in the order of TensorFlow.

    In the layout that ONNX Runtime takes for convolutions on CPUs it sums in another, by which
    EfficientNetB0 on frames of one colour gets 9e-5 of the largest value away; behind a change of
    shape it leaves that layout (4e-7).
    """
    onnx = require("onnx")
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


def unknown_operators(graph: Any) -> set[str]:
    """Name the operators of a graph, and of graphs inside, that ONNX has not; TensorFlow's stay."""
    onnx = require("onnx")
    return {
        node.op_type
        for node in _nodes(graph)
        if not node.domain and not onnx.defs.has(node.op_type)
    }


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph, and of graphs inside."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)
