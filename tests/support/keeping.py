"""A package on a Hub whose shards have several record batches, to be kept while it is streamed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import avmit
from conversion.package.index.build import build_index
from conversion.package.index.index_file import Index
from conversion.package.manifest import INDEX, read_manifest
from conversion.package.writer import Encoding, ShardWriter
from support.prefetching import CONFIG, REPO

LOOSE = 1.05
"""Fetched bytes may be so many times the columns', for the gaps between them."""


def rewrite(package: Path, changed: Callable[[pa.Table], pa.Table] = lambda table: table) -> None:
    """Write the shards of CONFIG anew, in record batches of two rows, with manifest and index."""
    folder = package / CONFIG
    manifest = read_manifest(folder)
    for split, listed in manifest.splits.items():
        for number, shard in enumerate(listed):
            with pa.ipc.open_stream((folder / shard.file).read_bytes()) as reader:
                table = changed(reader.read_all())
            with ShardWriter(folder / shard.file, table.schema, Encoding("arrow", "none")) as out:
                for batch in table.combine_chunks().to_batches(max_chunksize=2):
                    out.write(batch)
            manifest.splits[split][number] = replace(shard, bytes=out.bytes, sha256=out.sha256)
    manifest.write(folder)
    (folder / INDEX).write_bytes(build_index(folder, manifest).to_bytes())


def streamed(keep: Path | None, split: str = "train", **options: Any) -> Any:
    """Return a stream of CONFIG on the Hub."""
    return avmit.stream(CONFIG, split, data_dir=REPO, keep=keep, **options)


def index_of(package: Path) -> Index:
    """Return a package's index as its shards have it."""
    return build_index(package / CONFIG, read_manifest(package / CONFIG))


def column_bytes(package: Path, names: list[str], split: str = "train") -> int:
    index = index_of(package)
    places = [index.columns.index(name) for name in names]
    return sum(
        batch.columns[place].length
        for shard in index.shards
        if shard.file.startswith(split)
        for batch in shard.batches
        for place in places
    )


def assert_same(rows: list[Any], package: Path, split: str = "train", **options: Any) -> None:
    """Compare rows with those of the package where it was made."""
    wanted = list(avmit.stream(CONFIG, split, data_dir=package, **options))
    assert len(rows) == len(wanted)
    for row, other in zip(rows, wanted, strict=True):
        assert list(row) == list(other)
        for name in row:
            np.testing.assert_array_equal(row[name], other[name])


def kept_files(keep: Path) -> list[Path]:
    return sorted(keep.glob(".avmit-work/*/.*.kept.part"))


def shard_files(keep: Path) -> list[str]:
    return sorted(path.name for path in keep.glob(".avmit-work/*/*.arrow"))
