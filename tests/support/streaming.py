"""Small indexed packages of several record batches a shard, and what a Hub sent of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

import avmit
from conversion.package.index.build import build_index
from conversion.package.index.index_file import Index
from conversion.package.manifest import INDEX, Manifest, Shard, read_manifest
from conversion.package.writer import Compression, Encoding, ShardWriter, shard_name
from support.feeding import CONFIG, WIDTHS, Lengths, Row, made_rows, made_table
from support.hub.server import HubServer
from support.releases import shards

LENGTHS: Lengths = [(n % 4, (5 * n) % 6) for n in range(53)]
"""Of three shards with record batches of up to three rows: 18 of them."""
LONG: Lengths = [(60 + n % 7, 90 + n % 5) for n in range(48)]
"""Of rows of some 1,500 bytes, most of which are embeddings."""


def write_indexed(
    package: Path,
    lengths: Lengths = LENGTHS,
    compression: str = "none",
    count: int = 3,
    batch_rows: int = 3,
    test: Lengths = (),
) -> Path:
    """Write a package with a config CONFIG, its manifest and its index; return its folder."""
    folder = package / CONFIG
    folder.mkdir(parents=True)
    encoding = Encoding("arrow", cast(Compression, compression))
    splits = {"train": _write(folder, "train", made_rows(lengths), encoding, count, batch_rows)}
    if test:
        splits["test"] = _write(folder, "test", made_rows(test), encoding, 1, batch_rows)
    source = {"kind": "tfrecords", "name": "Tiny", "records": len(lengths) + len(test)}
    manifest = Manifest(CONFIG, "arrow", compression, source, splits, dims=dict(WIDTHS))
    manifest.write(folder)
    (folder / INDEX).write_bytes(build_index(folder, manifest).to_bytes())
    return package


def _write(
    folder: Path,
    split: str,
    rows: Sequence[Row],
    encoding: Encoding,
    count: int,
    batch_rows: int,
) -> list[Shard]:
    written = []
    for number in range(count):
        part = rows[len(rows) * number // count : len(rows) * (number + 1) // count]
        table = made_table(part)
        name = shard_name(split, number, count, encoding)
        with ShardWriter(folder / name, table.schema, encoding) as writer:
            for batch in table.to_batches(max_chunksize=batch_rows):
                writer.write(batch)
        steps = {
            column: [min(len(row[column]) for row in part), max(len(row[column]) for row in part)]
            for column in WIDTHS
        }
        written.append(Shard(name, writer.rows, writer.bytes, writer.sha256, "made", steps))
    return written


def index_of(package: Path) -> Index:
    """Return a package's index as its shards have it."""
    folder = package / CONFIG
    return build_index(folder, read_manifest(folder))


def column_bytes(package: Path, columns: Sequence[str], split: str = "train") -> int:
    """Count the bytes that columns have in the shards of a split."""
    index = index_of(package)
    places = [index.columns.index(name) for name in columns]
    return sum(
        batch.columns[place].length
        for shard in index.shards
        if shard.file.startswith(split)
        for batch in shard.batches
        for place in places
    )


def streamed(source: object, **options: Any) -> Any:
    """Return a stream of CONFIG."""
    return avmit.stream(CONFIG, options.pop("split", "train"), data_dir=source, **options)


def names(rows: Any) -> list[str]:
    """Return the file names of rows."""
    return [row["filename"] for row in rows]


def full(lengths: Lengths = LENGTHS) -> list[Row]:
    """Return the rows of a package, with all columns in their order."""
    table = made_table(made_rows(lengths))
    numbers = made_rows(lengths)
    return [
        {name: made[name] if name in WIDTHS else value for name, value in row.items()}
        for row, made in zip(table.to_pylist(), numbers, strict=True)
    ]


def in_record_batches(package: Path) -> list[list[str]]:
    """Return the file names in each record batch of the split train."""
    found = []
    for shard in shards(package, CONFIG, "train"):
        with pa.ipc.open_stream(shard.read_bytes()) as reader:
            found += [batch.column("filename").to_pylist() for batch in reader]
    return found


def fetched(hub: HubServer) -> int:
    """Count the bytes of shards that went out."""
    return sum(request.sent for request in hub.of("^/storage/"))


def ranges(hub: HubServer) -> list[tuple[str, str]]:
    """Return (path, range) of each request of a part of a shard."""
    return [(r.path, r.headers.get("Range", "")) for r in hub.of("^/storage/")]
