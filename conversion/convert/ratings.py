"""The configs of ratings, each a CSV file's rows in one shard."""

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

import avmit
from avmit import Split
from conversion.package.manifest import Shard, sha256_of
from conversion.package.schema import arrow_schema
from conversion.package.writer import Encoding, ShardWriter
from conversion.release.annotations import Annotations
from conversion.zenodo.record_file import source_of


def ratings_configs(asked: Sequence[str] | None) -> list[str]:
    """Name the ratings configs among those that are asked for, all of them for None."""
    return [config for config in avmit.RATINGS_CONFIGS if asked is None or config in asked]


def ratings_split(config: str) -> Split:
    """Name the split that a ratings config has."""
    return "test" if config == "test_set" else "train"


def ratings_rows(config: str, annotations: Annotations) -> pa.RecordBatch:
    """Return the rows of a ratings config, with the schema of its shard."""
    schema = arrow_schema(avmit.ratings_features(config))
    rows = getattr(annotations, config)
    if isinstance(rows, pa.Table):
        columns = [rows[name].combine_chunks() for name in schema.names]
    else:
        columns = [pa.array(list(map(attrgetter(f.name), rows)), f.type) for f in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def write_ratings(path: Path, rows: pa.RecordBatch, encoding: Encoding, source: str) -> Shard:
    """Write the shard of a ratings config; `source` is the SHA-256 of the CSV file."""
    with ShardWriter(path, rows.schema, encoding) as writer:
        writer.write(rows)
    return Shard(path.name, writer.rows, writer.bytes, writer.sha256, source)


def describe_csv(file: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest's `source` of a ratings config."""
    return {"kind": "csv", "name": file.name, "sha256": sha256_of(file)} | source_of(file, record)
