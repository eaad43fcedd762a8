"""The small columns of a config's rows, mapped from its shards; of embeddings only the lengths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from conversion.package.manifest import Manifest
from conversion.package.reader import read_rows, read_schema
from conversion.package.schema import features_of

EMBEDDINGS = ("audio", "visual")


def small_columns(
    folder: Path, manifest: Manifest, wanted: Sequence[str] | None = None
) -> dict[str, pa.Table]:
    """Return for each split those of the `wanted` columns that the config has; None for all small
    ones. `label` is the name of the class.

    Raises:
        AvmitError: a shard cannot be read.
    """
    found = {}
    for split, shards in manifest.splits.items():
        tables = []
        for shard in shards:
            path = folder / shard.file
            schema = read_schema(path)
            names = [
                name
                for name in schema.names
                if name not in manifest.dims and (wanted is None or name in wanted)
            ]
            kept = pa.schema([schema.field(name) for name in names])
            batches = [batch.replace_schema_metadata(None) for batch in read_rows(path, names)]
            tables.append(_named(pa.Table.from_batches(batches, kept), _classes(schema)))
        found[split] = pa.concat_tables(tables)
    return found


def shapes_at(folder: Path, manifest: Manifest, split: str, row: int) -> dict[str, list[int]]:
    """Return (timesteps, width) of a row's embeddings, by column; no value of them is read.

    Raises:
        AvmitError: the shard cannot be read.
    """
    columns = [name for name in EMBEDDINGS if name in manifest.dims]
    for shard in manifest.splits[split] if columns else []:
        if row >= shard.rows:
            row -= shard.rows
            continue
        for batch in read_rows(folder / shard.file, columns):
            if row < len(batch):
                return {
                    name: [len(batch.column(name)[row]), manifest.dims[name]] for name in columns
                }
            row -= len(batch)
    return {}


def _classes(schema: pa.Schema) -> list[str]:
    features: Any = features_of(schema) or {}
    return list(getattr(features.get("label"), "names", None) or [])


def _named(table: pa.Table, classes: list[str]) -> pa.Table:
    if not classes or "label" not in table.column_names:
        return table
    at = table.column_names.index("label")
    names = pa.array(classes).take(table.column(at).combine_chunks())
    return table.set_column(at, "label", names)
