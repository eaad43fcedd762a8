"""What an index.json may say: all that is read from one is checked here, once."""

import binascii
from collections.abc import Iterator
from typing import Any

from conversion.package.index.messages import ALIGNMENT
from conversion.package.manifest import Manifest, Shard
from conversion.package.manifest_problems import brief, is_count, keys_problem

NOT_FOR_PARQUET = "Parquet files have an index of their own, the footer"
VERSION = 1
"""Raise it when an index.json is to say what earlier readers would misunderstand."""

_KEYS = ("version", "config", "columns", "schema", "shards")
_SHARD_KEYS = ("file", "bytes", "sha256", "schema_length", "batches")
_BATCH_KEYS = ("offset", "metadata_length", "body_length", "rows", "columns", "metadata")
_CRC_END = 2**32


def index_problems(content: Any, manifest: Manifest) -> Iterator[str]:
    """Say what in the JSON of an index is not right for the shards of `manifest`, in short lines.

    Of each shard only the first problem is named.
    """
    if manifest.format != "arrow":
        yield NOT_FOR_PARQUET
        return
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > VERSION:
        yield f"it is of version {brief(version)}, and this avmit reads {VERSION}: update avmit"
        return
    problem = keys_problem(content, _KEYS)
    if problem:
        yield problem
        return
    if version != VERSION or isinstance(version, bool):
        yield f"version is {brief(version)}"
        return
    if content["config"] != manifest.config:
        yield f"config is {brief(content['config'])}, in the manifest {brief(manifest.config)}"
        return
    columns = content["columns"]
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        yield f"columns are {brief(columns)}"
        return
    if len(set(columns)) < len(columns):
        yield "two columns have one name"
        return
    if _decoded(content["schema"]) is None:
        yield f"schema is {brief(content['schema'])}"
        return
    shards = content["shards"]
    if not isinstance(shards, list) or len(shards) != len(manifest.shards):
        count = f"{len(shards):,} shards" if isinstance(shards, list) else brief(shards)
        yield f"it has {count}, in the manifest {len(manifest.shards):,}"
        return
    for indexed, shard in zip(shards, manifest.shards, strict=True):
        problem = _shard_problem(indexed, shard, len(columns))
        if problem:
            yield f"{shard.file}: {problem}"


def _shard_problem(indexed: Any, shard: Shard, columns: int) -> str:
    """Say what is wrong with the entry of a shard, which must be the manifest's; or nothing."""
    problem = keys_problem(indexed, _SHARD_KEYS)
    if problem:
        return problem
    for name, expected in (("file", shard.file), ("bytes", shard.bytes), ("sha256", shard.sha256)):
        if indexed[name] != expected or isinstance(indexed[name], bool):
            return f"{name} is {brief(indexed[name])}, in the manifest {brief(expected)}"
    if not _is_place(indexed["schema_length"], shard.bytes):
        return f"schema_length is {brief(indexed['schema_length'])}"
    if not isinstance(indexed["batches"], list):
        return f"batches are {brief(indexed['batches'])}"
    end, rows = indexed["schema_length"], 0
    for number, batch in enumerate(indexed["batches"]):
        problem = _batch_problem(batch, end, shard.bytes, columns)
        if problem:
            return f"record batch {number:,}: {problem}"
        end += batch["metadata_length"] + batch["body_length"]
        rows += batch["rows"]
    return "" if rows == shard.rows else f"{rows:,} rows, in the manifest {shard.rows:,}"


def _batch_problem(batch: Any, start: int, size: int, columns: int) -> str:
    """Say what is wrong with a record batch that begins at `start` of a shard of `size` bytes."""
    problem = keys_problem(batch, _BATCH_KEYS)
    if problem:
        return problem
    # Messages follow one another without a gap, so that there is one place where each can be.
    if batch["offset"] != start or not is_count(batch["offset"]):
        return f"offset is {brief(batch['offset'])}, and what is before it ends at {start}"
    for name in ("metadata_length", "body_length"):
        if not _is_place(batch[name], size - start):
            return f"{name} is {brief(batch[name])}"
        start += batch[name]
    if not is_count(batch["rows"]):
        return f"rows is {brief(batch['rows'])}"
    metadata = _decoded(batch["metadata"])
    if metadata is None or len(metadata) != batch["metadata_length"]:
        return f"metadata is {brief(batch['metadata'])}"
    if not isinstance(batch["columns"], list) or len(batch["columns"]) != columns:
        return f"columns are {brief(batch['columns'])}"
    end = 0
    for column in batch["columns"]:
        if not _is_range(column, end, batch["body_length"]):
            return f"a column is {brief(column)}"
        end = column[0] + column[1]
    return ""


def _is_range(column: Any, start: int, end: int) -> bool:
    """Tell whether it is (offset, length, CRC32C) of bytes from `start` on, up to `end` at most."""
    if type(column) is not list or len(column) != 3:
        return False
    offset, length, crc32c = column
    return (
        type(offset) is type(length) is type(crc32c) is int  # no bool
        and start <= offset <= end
        and offset % ALIGNMENT == 0
        and 0 <= length <= end - offset
        and 0 <= crc32c < _CRC_END
    )


def _is_place(value: Any, size: int) -> bool:
    return is_count(value) and value <= size and value % ALIGNMENT == 0


def _decoded(text: Any) -> bytes | None:
    """Return the bytes that base64 stands for; None where it is none."""
    try:
        return binascii.a2b_base64(text, strict_mode=True) if isinstance(text, str) else None
    except ValueError:
        return None
