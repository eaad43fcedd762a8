"""One split of a config, opened by its manifest and index: which record batches there are."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa

from avmit import AvmitError
from conversion.package.index.index_file import Index, IndexedBatch, parse_index
from conversion.package.manifest import INDEX, NAME, Manifest, parse_manifest
from experiments.feeding.rows.columns import Numbers
from experiments.feeding.stream.keep import kept
from experiments.feeding.stream.source import Folder, Missing, Source, open_source

_MOST_ROWS = 2**48
"""Of a split, so that rows are counted with 64 bits."""


class Located(NamedTuple):
    """A record batch, and the path of its shard within the package."""

    shard: str
    batch: IndexedBatch


@dataclass(frozen=True)
class Split:
    """A split that can be read record batch by record batch, in any order."""

    source: Source
    name: str
    index: Index
    batches: tuple[Located, ...]

    @cached_property
    def rows(self) -> Numbers:
        """The rows of each record batch."""
        return np.array([located.batch.rows for located in self.batches], np.int64)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns."""
        return pa.ipc.read_schema(pa.py_buffer(self.index.schema))

    @property
    def features(self) -> Any:
        """The columns as `datasets` describes them, with the names of the labels."""
        return datasets.Features.from_arrow_schema(self.schema)


def open_split(
    data_dir: Any, config: str, split: str, revision: str | None, keep: Any = None
) -> Split | None:
    """Open a split of a package; None where the package has no index of it.

    What is read is kept in the folder `keep`, if there is one.

    Raises:
        AvmitError: there is no such package, config or split, its manifest or index makes no
            sense, or it cannot be reached.
    """
    manifest_path, index_path = f"{config}/{NAME}", f"{config}/{INDEX}"
    source = open_source(data_dir, revision, [manifest_path, index_path])
    if keep is not None and isinstance(source, Folder):
        raise AvmitError(f"keep={str(keep)!r}: {source.name} is a folder already, leave keep= out")
    try:
        text = source.text(manifest_path)
    except Missing:
        raise AvmitError(
            f"no config '{config}' with a {NAME} in {source.name}: name one that is there"
        ) from None
    try:
        manifest = parse_manifest(text, config)
    except ValueError as error:
        raise AvmitError(
            f"{manifest_path} in {source.name} is malformed ({error}): ask its owner to make it "
            "again"
        ) from None
    if split not in manifest.splits:
        raise AvmitError(
            f"no split '{split}' in config '{config}'; there are: {', '.join(manifest.splits)}"
        )
    return _indexed(source, manifest, split, index_path, keep)


def _indexed(source: Source, manifest: Manifest, split: str, path: str, keep: Any) -> Split | None:
    try:
        text = source.text(path)
    except Missing:
        return None
    try:
        index = parse_index(text, manifest)
        if sum(shard.rows for shard in manifest.shards) > _MOST_ROWS:
            raise ValueError("it has more rows than there can be")
    except ValueError as error:
        raise AvmitError(
            f"{path} in {source.name} is not the index of its shards ({error}): make it again with "
            "`avmit index`"
        ) from None
    if keep is not None:
        source = kept(source, keep, manifest, index)
    files = {shard.file for shard in manifest.splits[split]}
    batches = tuple(
        Located(f"{manifest.config}/{shard.file}", batch)
        for shard in index.shards
        if shard.file in files
        for batch in shard.batches
    )
    return Split(source, split, index, batches)
