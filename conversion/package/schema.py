"""Compare shards' schemas with the columns that a config of their kind has."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import Features

import avmit
from avmit import AvmitError
from conversion.package.manifest import LISTED_KEY, Manifest
from conversion.package.reader import described_features, read_schema


def arrow_schema(features: datasets.Features) -> pa.Schema:
    """Return the Arrow schema of `features`, with the metadata that `datasets` restores them by."""
    described = {name: _json(feature) for name, feature in features.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": described}})}
    return pa.schema(list(features.arrow_schema), metadata=metadata)


def features_of(schema: pa.Schema) -> datasets.Features | None:
    """Return the features that `datasets` reads from a schema; None if it cannot."""
    try:
        return datasets.Features.from_arrow_schema(schema)
    except Exception:  # metadata of any shape: its errors have no common base
        return None


def read_features(folder: Path, manifest: Manifest) -> datasets.Features:
    """Read a config's features from the schema of its first shard, in `folder`.

    Raises:
        AvmitError: the shard cannot be read, or not as `datasets` would.
    """
    path = folder / manifest.shards[0].file
    features = features_of(read_schema(path))
    if features is None:
        raise AvmitError(
            f"{path}: its metadata does not describe features that datasets can read: "
            "bring the shard again"
        )
    return features


def card_features(features: datasets.Features) -> list[dict[str, Any]]:
    """Return `features` as the `dataset_info` in a card's YAML has them."""
    return [{"name": name, **_yaml(feature)} for name, feature in features.items()]


def _json(feature: Any) -> dict[str, Any]:
    inner, length = _items(feature)
    if inner is None:
        names = getattr(feature, "names", None)
        if names is not None:
            return {"names": list(names), "_type": "ClassLabel"}
        return {"dtype": feature.dtype, "_type": "Value"}
    described = {"feature": _json(inner), "_type": "Sequence"}
    return described if length < 0 else {**described, "length": length}


def _yaml(feature: Any) -> dict[str, Any]:
    inner, length = _items(feature)
    if inner is None:
        names = getattr(feature, "names", None)
        if names is not None:
            return {"dtype": {"class_label": {"names": dict(_numbered(names))}}}
        return {"dtype": feature.dtype}
    described = _yaml(inner)
    described = {"sequence": described.get("dtype", described)}
    return described if length < 0 else {**described, "length": length}


def _numbered(names: list[str]) -> list[tuple[str, str]]:
    return [(str(index), name) for index, name in enumerate(names)]


def _items(feature: Any) -> tuple[Any, int]:
    """Return a list feature's item and its length (-1: any), or None for a scalar."""
    return getattr(feature, "feature", None), getattr(feature, "length", -1)


HEARD = Features({"has_audio": datasets.Value("bool")})
"""The column that extracted configs have beside the embeddings."""


def vectors(dims: Mapping[str, int]) -> datasets.Features:
    """Return the columns of embeddings, by their widths."""
    features = avmit.embedding_features(dims.get("audio"), dims.get("visual"), [])
    return Features({name: of for name, of in features.items() if name in dims})


def class_names(labels: Iterable[str]) -> list[str]:
    """Return the different labels of a list in the order in which they are numbered.

    It is that of their text, or of their value where all are whole numbers, so that 0 to 99 are
    numbered by themselves.
    """
    names = sorted(set(labels))
    whole = all(name.isascii() and name.isdigit() and len(name) < 20 for name in names)
    return sorted(names, key=int) if whole else names


_PUBLISHED = ("csv", "tfrecords")
"""Kinds of source whose configs have no columns of their own, as extracted ones may."""


def label_names(schema: pa.Schema) -> list[str]:
    """Return the names of a schema's `label`; none if that is not a ClassLabel."""
    features = features_of(schema) or {}
    return list(getattr(features.get("label"), "names", None) or [])


def schema_problem(
    schema: pa.Schema, manifest: Manifest, labels: Sequence[str] | None, first: pa.Schema
) -> str:
    """Say what is wrong with a shard's schema, or nothing.

    `labels` are the AVMIT labels of the ratings; without them, the shard's own must be sorted, as
    those of a list are.
    `first` is the schema of the config's first shard, which all others must have too.
    """
    features = features_of(schema)
    if features is None:
        return "its metadata does not describe features that datasets can read"
    expected = _expected(manifest, features, labels)
    lacking = [name for name in expected if name not in features]
    if lacking:
        return f"no column {', '.join(lacking)}"
    extra = [name for name in features if name not in expected]
    if extra and (manifest.source["kind"] in _PUBLISHED or _nested(schema, extra)):
        return f"column {', '.join(extra)} is not one of this config's"
    if [name for name in features if name in expected] != list(expected):
        return f"its columns stand in another order: {', '.join(features)}"
    wanted = arrow_schema(Features({name: expected.get(name, features[name]) for name in features}))
    for field in wanted:
        found = schema.field(field.name)
        if not found.equals(field):
            return f"{field.name} is {found.type}, not {field.type}"
    if described_features(schema) != described_features(wanted):
        if "label" in expected and features["label"] != expected["label"]:
            of = "ones of its list" if manifest.listed else "AVMIT labels of the ratings"
            return f"its label names are not the sorted {of}"
        return "its metadata describes other features than its columns"
    return "" if schema.equals(first) else "not the schema of the config's first shard"


def check_schemas(folder: Path, manifest: Manifest) -> None:
    """Refuse a config, in `folder`, whose shards do not all have the columns of their config.

    Raises:
        AvmitError: a shard cannot be read, or has other columns.
    """
    first = None
    for shard in manifest.shards:
        schema = read_schema(folder / shard.file)
        first = first or schema
        problem = schema_problem(schema, manifest, None, first)
        if problem:
            raise AvmitError(f"{folder / shard.file}: {problem}: make or fetch the config again")


def _expected(manifest: Manifest, found: Features, labels: Sequence[str] | None) -> Features:
    if not manifest.dims:
        return avmit.ratings_features(manifest.config)
    own = list(getattr(found.get("label"), "names", None) or [])
    if manifest.listed:
        label = {"label": datasets.ClassLabel(names=class_names(own))} if "label" in found else {}
        columns = {LISTED_KEY: datasets.Value("string"), **label}
        return Features({**columns, **vectors(manifest.dims), **HEARD})
    labels = sorted(set(own)) if labels is None else labels
    return avmit.embedding_features(manifest.dims.get("audio"), manifest.dims.get("visual"), labels)


def _nested(schema: pa.Schema, names: Sequence[str]) -> bool:
    return any(pa.types.is_nested(schema.field(name).type) for name in names)
