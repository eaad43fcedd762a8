"""Check shards against their manifest: bytes first, then, if those are right, what they hold."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from avmit import AvmitError
from conversion.package.index.build import NoIndex, ShardIndex, index_shard
from conversion.package.manifest import Manifest, Shard
from conversion.package.reader import count_nulls, matrices, read_batches, read_schema
from conversion.verify.check import Check
from conversion.wording import format_bytes

_HASHED_BYTES = 256 * 1024  # stays in a core's cache between read and hash

NO_FILE = "not read: there is no such file"
WRONG_CHECKSUM = "not read: its checksum is wrong"


@dataclass(frozen=True)
class ShardToCheck:
    """A shard as its manifest has it, where it is, and the widths of its embeddings.

    `indexed` tells whether an index has to be compared with it.
    """

    path: Path
    config: str
    split: str
    shard: Shard
    dims: dict[str, int]
    indexed: bool = False


@dataclass
class Examined:
    """What was found in a shard; `unread` says why it was not parsed, if it was not.

    `nulls` and `not_finite` have a line for each column and batch concerned, `timesteps` the
    smallest and largest number by column, `table` all columns but the embeddings, and `index` what
    belongs into an index of it, if there is one to compare; `not_indexed` says why nothing does.
    """

    task: ShardToCheck
    size: int | None = None
    sha256: str = ""
    unread: str = ""
    schema: pa.Schema | None = None
    rows: int = 0
    nulls: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)
    timesteps: dict[str, list[int]] = field(default_factory=dict)
    table: pa.Table | None = None
    index: ShardIndex | None = None
    not_indexed: str = ""


def examine(task: ShardToCheck, advance: Callable[[int], None]) -> Examined:
    """Hash a shard and, if the hash is right, check its values, a record batch at a time.

    `advance` is told of the bytes hashed.
    """
    found = Examined(task)
    try:
        found.size, found.sha256 = _hash(task.path, advance)
    except FileNotFoundError:
        found.unread = NO_FILE
        return found
    except OSError as error:
        found.unread = f"cannot be read ({error.strerror})"
        return found
    if found.sha256 != task.shard.sha256:
        found.unread = WRONG_CHECKSUM
        return found
    try:
        _parse(found, advance)
    except AvmitError as error:
        found.unread = str(error)
    if task.indexed and not found.unread:
        try:
            found.index = index_shard(task.path, task.shard)
        except NoIndex as error:
            found.not_indexed = str(error)
    return found


def _hash(path: Path, advance: Callable[[int], None]) -> tuple[int, str]:
    # Not mapped: a bad sector is then an error of the read, and not the end of the process.
    digest, size = hashlib.sha256(), 0
    piece = memoryview(bytearray(_HASHED_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(piece[:count])
            size += count
            advance(count)
    return size, digest.hexdigest()


def _parse(found: Examined, advance: Callable[[int], None]) -> None:
    task = found.task
    found.schema = read_schema(task.path)
    embeddings = [
        name
        for name, width in task.dims.items()
        if name in found.schema.names
        and found.schema.field(name).type == pa.list_(pa.list_(pa.float32(), width))
    ]
    kept = [name for name in found.schema.names if name not in task.dims]
    batches = []
    for batch in read_batches(task.path):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            nulls = count_nulls(column)
            if nulls:
                found.nulls.append(f"{nulls:,} nulls in {name} from row {found.rows} on")
            elif name in embeddings and batch.num_rows:
                _check_values(found, name, *matrices(column))
        batches.append(batch.select(kept))
        found.rows += batch.num_rows
        advance(0)  # lets the work be stopped
    schema = pa.schema([found.schema.field(name) for name in kept])
    found.table = pa.Table.from_batches(batches, schema)


def _check_values(
    found: Examined, name: str, offsets: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
) -> None:
    steps = np.diff(offsets)
    low, high = found.timesteps.get(name, (steps[0], steps[0]))
    found.timesteps[name] = [int(min(low, steps.min())), int(max(high, steps.max()))]
    finite = np.isfinite(values)
    if not finite.all():
        bad_steps = np.flatnonzero(~finite.all(axis=1))
        rows = np.unique(np.searchsorted(offsets, bad_steps, side="right") - 1)
        found.not_finite.append(
            f"NaN or infinity in {name} of row {found.rows + rows[0]}"
            + (f" and {len(rows) - 1:,} rows after it" if len(rows) > 1 else "")
        )


def shard_checks(
    config: str,
    manifest: Manifest,
    examined: Sequence[Examined],
    schema_problems: Sequence[str],
) -> list[Check]:
    """Return a Check of each kind: one for the config where all shards hold, else one a shard.

    `schema_problems` say what is wrong with the schema of each shard, or nothing.
    """
    schemas = dict(zip([one.task.path for one in examined], schema_problems, strict=True))
    rows = sum(one.rows for one in examined)
    size = format_bytes(sum(one.size or 0 for one in examined))
    count = len(examined)
    columns = max((len(one.schema) for one in examined if one.schema is not None), default=0)
    widths = "".join(f", {name} {width} wide" for name, width in manifest.dims.items())
    looks: list[tuple[str, Callable[[Examined], str], str]] = [
        ("presence", _presence, f"{count} {'shard' if count == 1 else 'shards'}"),
        ("size", _size, size),
        ("sha256", _sha256, f"{size} as in the manifest"),
        ("row count", _row_count, f"{rows:,}"),
        ("schema", lambda one: one.unread or schemas[one.task.path], f"{columns} columns{widths}"),
        ("nulls", lambda one: one.unread or "; ".join(one.nulls[:1]), "none"),
    ]
    if manifest.dims:
        looks += [
            ("values", lambda one: one.unread or "; ".join(one.not_finite[:1]), "all finite"),
            ("timesteps", _timesteps, _ranges(examined)),
        ]
    checks = []
    for name, look, holds in looks:
        problems = [(one.task.shard.file, text) for one in examined if (text := look(one))]
        checks += [Check(name, f"{config}/{file}", False, text) for file, text in problems]
        if not problems:
            checks.append(Check(name, config, True, holds))
    return checks


def _presence(one: Examined) -> str:
    return "missing" if one.unread == NO_FILE else ""


def _size(one: Examined) -> str:
    if one.size is None:
        return one.unread
    right = one.size == one.task.shard.bytes
    return "" if right else f"{one.size:,} bytes, in the manifest {one.task.shard.bytes:,}"


def _sha256(one: Examined) -> str:
    if not one.sha256:
        return one.unread
    right = one.sha256 == one.task.shard.sha256
    return "" if right else f"{one.sha256}, in the manifest {one.task.shard.sha256}"


def _row_count(one: Examined) -> str:
    right = one.rows == one.task.shard.rows
    return one.unread or (
        "" if right else f"{one.rows:,} rows, in the manifest {one.task.shard.rows:,}"
    )


def _timesteps(one: Examined) -> str:
    """Compare with the manifest; a column of nulls or of another type has another failing check."""
    for name, (low, high) in one.timesteps.items():
        if low < 1:
            return f"a row without timesteps in {name}"
        if [low, high] != one.task.shard.timesteps.get(name):
            noted = one.task.shard.timesteps.get(name)
            return f"{name} has {low} to {high}, in the manifest {noted}"
    return one.unread


def _ranges(examined: Sequence[Examined]) -> str:
    found: dict[str, list[int]] = {}
    for one in examined:
        for name, steps in one.timesteps.items():
            found.setdefault(name, []).extend(steps)
    return ", ".join(f"{name} {min(steps)} to {max(steps)}" for name, steps in found.items())
