"""The `SequenceExample` message, declared here from the public wire format.

Field numbers: https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/example, files
feature.proto and example.proto. The package name is ours, so that TensorFlow's own descriptors can
live in the same process.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

DecodeError = message.DecodeError

_PACKAGE = "avmit"
_FIELD = descriptor_pb2.FieldDescriptorProto

# message -> (field, number, type, repeated)
_MESSAGES: dict[str, list[tuple[str, int, str, bool]]] = {
    "BytesList": [("value", 1, "bytes", True)],
    "FloatList": [("value", 1, "float", True)],
    "Int64List": [("value", 1, "int64", True)],
    "Feature": [
        ("bytes_list", 1, "BytesList", False),
        ("float_list", 2, "FloatList", False),
        ("int64_list", 3, "Int64List", False),
    ],
    "Features": [("feature", 1, "map<Feature>", True)],
    "FeatureList": [("feature", 1, "Feature", True)],
    "FeatureLists": [("feature_list", 1, "map<FeatureList>", True)],
    "SequenceExample": [
        ("context", 1, "Features", False),
        ("feature_lists", 2, "FeatureLists", False),
    ],
}
_SCALARS = {
    "bytes": _FIELD.TYPE_BYTES,
    "float": _FIELD.TYPE_FLOAT,
    "int64": _FIELD.TYPE_INT64,
    "string": _FIELD.TYPE_STRING,
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="avmit/sequence_example.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            if kind.startswith("map<"):
                kind = _add_map_entry(declared, field, kind[4:-1])
            _add_field(declared, field, number, kind, repeated)
        if name == "Feature":
            declared.oneof_decl.add(name="kind")
            for declared_field in declared.field:
                declared_field.oneof_index = 0
    return file


def _add_field(declared: Any, name: str, number: int, kind: str, repeated: bool) -> None:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    if kind in _SCALARS:
        declared.field.add(name=name, number=number, type=_SCALARS[kind], label=label)
    else:
        declared.field.add(
            name=name,
            number=number,
            type=_FIELD.TYPE_MESSAGE,
            type_name=f".{_PACKAGE}.{kind}",
            label=label,
        )


def _add_map_entry(declared: Any, field: str, value: str) -> str:
    """Declare the entry message that protobuf generates for `map<string, value>`."""
    entry = declared.nested_type.add(
        name="".join(part.capitalize() for part in field.split("_")) + "Entry"
    )
    entry.options.map_entry = True
    _add_field(entry, "key", 1, "string", False)
    _add_field(entry, "value", 2, value, False)
    return f"{declared.name}.{entry.name}"


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())
SequenceExample: Any = message_factory.GetMessageClass(
    _pool.FindMessageTypeByName(f"{_PACKAGE}.SequenceExample")
)
