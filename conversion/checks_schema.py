"""Compare shards' schemas with the columns that a config of their kind has."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Features

import avmit
from avmit import AvmitError
from conversion.features import arrow_schema, features_of
from conversion.manifest import Manifest
from conversion.shard_batches import read_schema

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

    `labels` are the AVMIT labels of the ratings; without them, the shard's own must be sorted.
    `first` is the schema of the config's first shard, which all others must have too.
    """
    features = features_of(schema)
    if features is None:
        return "its metadata does not describe features that datasets can read"
    expected = _expected(manifest, sorted(set(label_names(schema))) if labels is None else labels)
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
    if _described(schema) != _described(wanted):
        if "label" in expected and features["label"] != expected["label"]:
            return "its label names are not the sorted AVMIT labels of the ratings"
        return "its metadata describes other features than its columns"
    return "" if schema.equals(first) else "not the schema of the config's first shard"


def check_schemas(folder: Path, manifest: Manifest) -> None:
    """Refuse a config, in `folder`, whose shards do not all have the columns of their config.

    Raises:
        AvmitError: a shard cannot be read, or has other columns.
    """
    first = None
    for shard in (shard for shards in manifest.splits.values() for shard in shards):
        schema = read_schema(folder / shard.file)
        first = first or schema
        problem = schema_problem(schema, manifest, None, first)
        if problem:
            raise AvmitError(f"{folder / shard.file}: {problem}: make or fetch the config again")


def _expected(manifest: Manifest, labels: Sequence[str]) -> Features:
    if not manifest.dims:
        return avmit.ratings_features(manifest.config)
    return avmit.embedding_features(manifest.dims.get("audio"), manifest.dims.get("visual"), labels)


def _nested(schema: pa.Schema, names: Sequence[str]) -> bool:
    return any(pa.types.is_nested(schema.field(name).type) for name in names)


def _described(schema: pa.Schema) -> Any:
    """Return the features as the metadata writes them; None where it has none."""
    try:
        return json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return None
