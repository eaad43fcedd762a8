"""index.json: for each shard of a config, where its record batches and their columns lie."""

import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from conversion import ground
from conversion.package.index.problems import VERSION, index_problems
from conversion.package.manifest import INDEX, LONGEST, Manifest
from conversion.whole import read_regular
from conversion.wording import some

_FACTS = ("file", "bytes", "sha256", "schema_length")


class ColumnRange(NamedTuple):
    """The bytes of a column in a record batch's body, and their CRC32C."""

    offset: int
    length: int
    crc32c: int


class IndexedBatch(NamedTuple):
    """A record batch: its metadata begin at `offset` of the shard, and its body after them.

    `metadata` are the encapsulated message's bytes without the body, `columns` stand in the order
    of the index's.
    """

    offset: int
    body_length: int
    rows: int
    metadata: bytes
    columns: tuple[ColumnRange, ...]

    @property
    def body_offset(self) -> int:
        """Where the body begins in the shard."""
        return self.offset + len(self.metadata)

    @property
    def end(self) -> int:
        """Where what follows the body begins in the shard."""
        return self.body_offset + self.body_length


@dataclass(frozen=True)
class IndexedShard:
    """A shard of the manifest, by its name, bytes and SHA-256, and its record batches in order.

    The first of them follows the schema message, of `schema_length` bytes.
    """

    file: str
    bytes: int
    sha256: str
    schema_length: int
    batches: tuple[IndexedBatch, ...]


@dataclass(frozen=True)
class Index:
    """A config's index: `schema` is the message that its shards begin with, `columns` are names."""

    config: str
    columns: tuple[str, ...]
    schema: bytes
    shards: tuple[IndexedShard, ...]

    @property
    def count(self) -> str:
        """How many record batches it has, in words."""
        count = sum(len(shard.batches) for shard in self.shards)
        return f"{count:,} record {'batch' if count == 1 else 'batches'}"

    def to_bytes(self) -> bytes:
        """Return the content of index.json, with one record batch a line; the same for the same."""
        return "".join(self._pieces()).encode()

    def _pieces(self) -> Iterator[str]:
        head = {
            "version": VERSION,
            "config": self.config,
            "columns": self.columns,
            "schema": _text(self.schema),
        }
        yield "{\n"
        for name, value in head.items():
            yield f"{json.dumps(name)}: {json.dumps(value)},\n"
        yield '"shards": ['
        for number, shard in enumerate(self.shards):
            facts = {name: getattr(shard, name) for name in _FACTS}
            yield ("," if number else "") + f'\n{json.dumps(facts)[:-1]}, "batches": ['
            yield ",".join(f"\n{json.dumps(_described(batch))}" for batch in shard.batches)
            yield "\n]}"
        yield "\n]\n}\n"


def read_index(folder: Path, manifest: Manifest) -> Index | None:
    """Read `folder`/index.json, which must be of the shards of `manifest`; None if there is none.

    Raises:
        AvmitError: it cannot be read, is not an index, or is one of other shards.
    """
    path = folder / INDEX
    try:
        return parse_index(read_regular(path, LONGEST), manifest)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror})" if error.strerror else str(error)
        raise ground.AvmitError(f"{reason}: {again(folder.parent)}") from None
    except ValueError as error:
        raise ground.AvmitError(
            f"{path} is not the index of its shards ({error}): {again(folder.parent)}"
        ) from None


def again(package: Path) -> str:
    """Say what to do about a wrong index in a package."""
    return f"make it again with `avmit index {package}`"


def parse_index(text: bytes, manifest: Manifest) -> Index:
    """Return the index that an index.json says, which must be of the shards of `manifest`.

    All places that it names are in those shards and do not overlap. What is in the metadata of a
    record batch is looked at by `BatchReader`.

    Raises:
        ValueError: it is no index, or of other shards; the text names up to three reasons in one
            line.
    """
    try:
        content = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    problems = list(index_problems(content, manifest))
    if problems:
        raise ValueError(some(problems))
    shards = tuple(
        IndexedShard(
            shard["file"],
            shard["bytes"],
            shard["sha256"],
            shard["schema_length"],
            tuple(_batch(batch) for batch in shard["batches"]),
        )
        for shard in content["shards"]
    )
    schema = binascii.a2b_base64(content["schema"])
    return Index(content["config"], tuple(content["columns"]), schema, shards)


def _batch(content: dict[str, Any]) -> IndexedBatch:
    return IndexedBatch(
        content["offset"],
        content["body_length"],
        content["rows"],
        binascii.a2b_base64(content["metadata"]),
        tuple(ColumnRange(*column) for column in content["columns"]),
    )


def _described(batch: IndexedBatch) -> dict[str, Any]:
    return {
        "offset": batch.offset,
        "metadata_length": len(batch.metadata),
        "body_length": batch.body_length,
        "rows": batch.rows,
        "columns": batch.columns,
        "metadata": _text(batch.metadata),
    }


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
