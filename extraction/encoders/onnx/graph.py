"""What an ONNX file says of itself: its inputs, and the files that its weights lie in.

Read by protobuf from the public format, so that a model is known before it is loaded. Fields'
numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from avmit import AvmitError
from conversion.wording import printable

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "avmit_onnx"

# message -> (field, number, type, repeated)
_MESSAGES: dict[str, list[tuple[str, int, str, bool]]] = {
    "Entry": [("key", 1, "string", False), ("value", 2, "string", False)],
    "Tensor": [
        ("name", 8, "string", False),
        ("external_data", 13, "Entry", True),
        ("data_location", 14, "int32", False),
    ],
    "SparseTensor": [("values", 1, "Tensor", False), ("indices", 2, "Tensor", False)],
    "Attribute": [
        ("t", 5, "Tensor", False),
        ("g", 6, "Graph", False),
        ("tensors", 10, "Tensor", True),
        ("graphs", 11, "Graph", True),
        ("sparse_tensor", 22, "SparseTensor", False),
    ],
    "Node": [("attribute", 5, "Attribute", True)],
    "Dimension": [("dim_value", 1, "int64", False)],
    "Shape": [("dim", 1, "Dimension", True)],
    "TensorType": [("elem_type", 1, "int32", False), ("shape", 2, "Shape", False)],
    "Type": [("tensor_type", 1, "TensorType", False)],
    "ValueInfo": [("name", 1, "string", False), ("type", 2, "Type", False)],
    "Graph": [
        ("node", 1, "Node", True),
        ("initializer", 5, "Tensor", True),
        ("input", 11, "ValueInfo", True),
        ("sparse_initializer", 15, "SparseTensor", True),
    ],
    "Function": [("node", 7, "Node", True)],
    "Model": [("graph", 7, "Graph", False), ("functions", 25, "Function", True)],
}
_SCALARS = {"string": _FIELD.TYPE_STRING, "int32": _FIELD.TYPE_INT32, "int64": _FIELD.TYPE_INT64}
_EXTERNAL = 1

DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
}
"""ONNX's TensorProto.DataType, those that are inputs of networks."""

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Input:
    """An input of a model; None stands for a size that is left open.

    A `dtype` of None is something else than a tensor, a `shape` of None one of any rank.
    """

    name: str
    dtype: str | None
    shape: Shape | None

    def __str__(self) -> str:
        sizes = "of any shape"
        if self.shape is not None:
            sizes = f"({', '.join('?' if size is None else str(size) for size in self.shape)})"
        return f"{printable(self.name)} {self.dtype or 'no tensor'} {sizes}"


@dataclass(frozen=True)
class Graph:
    """A model's inputs without those that have a value of their own, and its files of weights."""

    inputs: tuple[Input, ...]
    external: tuple[str, ...]


def read_graph(path: Path) -> Graph:
    """Read an ONNX file, but not its weights.

    Raises:
        AvmitError: it is missing, damaged or no ONNX file, or has weights outside its folder.
    """
    try:
        found = _parsed(path.read_bytes())
    except (message.DecodeError, ValueError):  # a ValueError where a name is no UTF-8
        found = None
    except OSError as error:
        raise AvmitError(f"{path} cannot be read ({error.strerror}): name an ONNX file") from error
    if found is None:
        raise AvmitError(f"{path} is damaged or no ONNX file: fetch or export it again")
    for name in found.external:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise AvmitError(
                f"{path} has weights in '{printable(name)}', outside its folder: save the model "
                "again, with its external data beside it"
            )
    return found


def _parsed(content: bytes) -> Graph | None:
    model = _model_class()()
    model.ParseFromString(content)
    if not model.HasField("graph"):
        return None
    own = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_input(value) for value in model.graph.input if value.name not in own)
    tensors = [*_of_graph(model.graph), *(t for f in model.functions for t in _of_nodes(f.node))]
    return Graph(inputs, tuple(sorted({name for one in tensors for name in _locations(one)})))


def _input(value: Any) -> Input:
    if not value.type.HasField("tensor_type"):
        return Input(value.name, None, None)
    kind = value.type.tensor_type
    dtype = DTYPES.get(kind.elem_type, f"type {kind.elem_type}")
    if not kind.HasField("shape"):
        return Input(value.name, dtype, None)
    sizes = (dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim)
    # Some exporters write 0 or -1 for a size that is open.
    return Input(value.name, dtype, tuple(size if size > 0 else None for size in sizes))


def _of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Any) -> Iterator[Any]:
    for attribute in (one for node in nodes for one in node.attribute):
        sparse = attribute.sparse_tensor
        yield from (attribute.t, *attribute.tensors, sparse.values, sparse.indices)
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _of_graph(graph)


def _locations(tensor: Any) -> list[str]:
    if tensor.data_location != _EXTERNAL:
        return []
    return [entry.value for entry in tensor.external_data if entry.key == "location"]


@cache
def _model_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="avmit/onnx.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            added = declared.field.add(name=field, number=number, label=label)
            if kind in _SCALARS:
                added.type = _SCALARS[kind]
            else:
                added.type, added.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
