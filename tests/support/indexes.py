"""Configs to index, and shards to read by their index alone."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from conversion.package.index.batch import BatchReader
from conversion.package.index.index_file import Index
from conversion.package.manifest import Manifest, Shard


def config_of(folder: Path, shards: Sequence[bytes], rows: Sequence[int]) -> Manifest:
    """Write shards of a config `mine` into a folder, and return the manifest that they have."""
    listed = []
    for number, (data, count) in enumerate(zip(shards, rows, strict=True)):
        name = f"train-{number:05d}-of-{len(shards):05d}.arrow"
        (folder / name).write_bytes(data)
        listed.append(Shard(name, count, len(data), hashlib.sha256(data).hexdigest(), "made"))
    return Manifest("mine", "arrow", "none", {"kind": "tfrecords"}, {"train": listed})


def stream_of(
    batches: Sequence[pa.RecordBatch], compression: str | None = None, schema: Any = None
) -> bytes:
    """Return an Arrow stream with those record batches."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, schema or batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read_by(
    index: Index, folder: Path, columns: Sequence[str] | None = None, gap: int = 0
) -> tuple[list[pa.RecordBatch], int]:
    """Read all record batches of a config, only by the ranges that the index names.

    Returns them with the number of bytes that were taken of the shards.
    """
    reader = BatchReader(index, columns)
    found, taken = [], 0
    for shard in index.shards:
        with (folder / shard.file).open("rb") as file:
            for batch in shard.batches:
                pieces = {}
                for offset, length in reader.ranges(batch, gap):
                    file.seek(batch.body_offset + offset)
                    pieces[offset] = file.read(length)
                    taken += length
                found.append(reader.read(batch, pieces))
    return found, taken


def edit_index(folder: Path, change: Callable[[Any], Any]) -> None:
    """Change what a config's index says; what is returned, if anything, takes its place."""
    path = folder / "index.json"
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed))
