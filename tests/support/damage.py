"""What tests of `verify` change in a package, and what they read from its findings."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from avmit import AvmitError
from conversion.package.index.build import NoIndex, build_index
from conversion.package.manifest import INDEX, read_manifest
from conversion.verify.verification import verify

EMBEDDINGS = "vggish_vgg16"
TRAIN = [f"train-{index:05d}-of-00002.arrow" for index in range(2)]
TEST = "test-00000-of-00001.arrow"
NOT_READ = "not read: its checksum is wrong"
OF_SHARD = ["row count", "schema", "nulls", "values", "timesteps"]

Failure = tuple[str, str, str]
Change = Callable[[pa.Table], pa.Table]


def failures(package: Path) -> list[Failure]:
    found = [(c.name, c.where, c.found) for c in verify(package, workers=1) if not c.ok]
    return sorted(found)


def finding(package: Path, name: str, where: str) -> str:
    found = [c.found for c in verify(package, workers=1) if (c.name, c.where) == (name, where)]
    assert len(found) == 1
    return found[0]


def edit_manifest(package: Path, config: str, change: Callable[[Any], Any]) -> None:
    path = package / config / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def entry(manifest: Any, file: str) -> Any:
    return next(s for shards in manifest["splits"].values() for s in shards if s["file"] == file)


def put(package: Path, config: str, file: str, data: bytes, **facts: Any) -> None:
    """Write a shard's bytes and let the manifest agree with them."""
    (package / config / file).write_bytes(data)
    facts |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(package, config, lambda manifest: entry(manifest, file).update(facts))
    index_again(package, config)


def index_again(package: Path, config: str) -> None:
    """Let the index agree with the shards as they are; none is there where they have none."""
    folder = package / config
    (folder / INDEX).unlink(missing_ok=True)
    with contextlib.suppress(NoIndex, AvmitError):
        (folder / INDEX).write_bytes(build_index(folder, read_manifest(folder)).to_bytes())


def tamper(package: Path, config: str, file: str, change: Change, **facts: Any) -> None:
    """Rewrite a shard with another table; its size, sum and rows in the manifest follow."""
    table = change(read(package, config, file))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    put(package, config, file, sink.getvalue().to_pybytes(), rows=len(table), **facts)


def read(package: Path, config: str, file: str) -> pa.Table:
    with pa.ipc.open_stream((package / config / file).read_bytes()) as reader:
        return reader.read_all()


def with_values(column: str, change: Callable[[list[Any]], Any]) -> Change:
    """Change a column's values as a list, in place."""

    def changed(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        change(values)
        field = table.schema.field(column)
        index = table.schema.get_field_index(column)
        return table.set_column(index, field, pa.array(values, field.type))

    return changed


def setting(index: int, value: Any) -> Callable[[list[Any]], None]:
    return lambda values: values.__setitem__(index, value)


def name_of(package: Path, file: str, row: int) -> str:
    return str(read(package, EMBEDDINGS, file)["tfrecord_filename"][row])


def flip(path: Path, offset: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)
