"""Describe features so that every `datasets` from 3.6 on reads them.

4.0 renamed `Sequence` to `List` and writes the new name; 3.6 knows only the old one, and the newest
still reads it. So shards and card say `Sequence`, whichever version writes them.
"""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

from avmit import AvmitError
from conversion.manifest import Manifest
from conversion.shard_batches import read_schema


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
    path = folder / next(shard.file for shards in manifest.splits.values() for shard in shards)
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
