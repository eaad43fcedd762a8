"""Finished shards in the folder that tasks share, each there at once when its mark is.

A shard lies there under a name of its content, its entry of the index beside it, and its mark,
which comes last and stays, names both. So whoever makes a shard once more, at the same time and to
other bits too, changes nothing of what the mark says, and who does not see the mark yet only does
what is done already.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conversion.package.index.build import NoIndex, ShardIndex, index_shard, joined
from conversion.package.index.index_file import parse_index
from conversion.package.manifest import NAME, Manifest, Shard, read_manifest
from conversion.package.manifest_problems import keys_problem, shard_problems
from conversion.package.staging import ShardResult, is_intact, read_bad
from conversion.parts.agreed import canonical, put_first, seal, unseal
from conversion.parts.place import PlanFolder
from conversion.parts.plan import Plan
from conversion.whole import read_regular, write_whole

_MOST_BYTES = 64_000_000  # of a mark, with the reasons of all bad videos of a shard
_KEYS = ("plan", "source", "shard", "bad")


@dataclass(frozen=True)
class Finished:
    """A finished shard; `bad` are the rows of what was left out, `source` how it was made."""

    shard: Shard
    bad: tuple[tuple[str, ...], ...]
    source: str


def source_digest(source: Mapping[str, Any]) -> str:
    """Return what marks say of how a shard was made."""
    return hashlib.sha256(canonical(source)).hexdigest()


def content_of(folder: PlanFolder, shard: Shard) -> Path:
    """Return where a finished shard lies before its config is put together."""
    return folder.shards / f"{shard.file}.{shard.sha256}"


def read_finished(folder: PlanFolder, plan: Plan, number: int) -> Finished | None:
    """Return what a shard's mark says, if it is of this plan and the shard is there; else None."""
    planned = plan.shards[number]
    try:
        content = unseal(read_regular(_mark(folder, planned.file), _MOST_BYTES))
        if keys_problem(content, _KEYS) or content["plan"] != plan.digest:
            return None
        if [*shard_problems(content["shard"], plan.dims)]:
            return None
        shard = Shard(**content["shard"])
        bad = tuple(_texts(row, len(plan.bad_columns)) for row in content["bad"])
        found = content_of(folder, shard).lstat()
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = stat.S_ISREG(found.st_mode) and found.st_size == shard.bytes
    if not whole or shard.file != planned.file or shard.rows + len(bad) != planned.rows:
        return None
    return Finished(shard, bad, str(content["source"]))


def is_marked(folder: PlanFolder, plan: Plan, number: int) -> bool:
    """Tell whether a shard has a mark, at the least cost: not whether it is a good one."""
    return _mark(folder, plan.shards[number].file).is_file()


def add_finished(
    folder: PlanFolder, plan: Plan, number: int, path: Path, finished: Finished
) -> Finished:
    """Bring a shard, at `path`, among the finished ones, and return what is there of it then.

    Raises:
        OSError: it cannot be written.
    """
    shard = finished.shard
    if plan.format == "arrow":
        with contextlib.suppress(NoIndex):
            part = index_shard(path, shard)
            index = joined(_alone(plan, shard), [part])
            write_whole(_index(folder, shard), index.to_bytes())
    path.replace(content_of(folder, shard))
    mark = {
        "plan": plan.digest,
        "source": finished.source,
        "shard": asdict(shard),
        "bad": finished.bad,
    }
    data = seal(mark)
    name = _mark(folder, shard.file)
    if not put_first(name, data):
        there = read_finished(folder, plan, number)
        if there is not None and there.source == finished.source:
            return there
        # What has its name is no mark of this plan, or of a shard that is gone.
        write_whole(name, data)
    return finished


def read_entry(folder: PlanFolder, plan: Plan, shard: Shard) -> ShardIndex | None:
    """Return what a finished shard has for the index; None if there is nothing, or an odd thing."""
    try:
        text = read_regular(_index(folder, shard), _MOST_BYTES)
        index = parse_index(text, _alone(plan, shard))
    except (OSError, ValueError):
        return None
    return ShardIndex(index.schema, index.shards[0])


def take_published(
    published: Path, target: Path, digest: Callable[[], str], names: Container[str]
) -> ShardResult | None:
    """Take a published shard to `target`, if it is whole and its `input_sha256` is `digest`.

    The bad ones among `names` come with it.

    Raises:
        AvmitError: the published config has no good manifest.
        OSError: it cannot be taken there.
    """
    if not (published / NAME).is_file():
        return None
    manifest = read_manifest(published)
    for shard in manifest.shards:
        path = published / shard.file
        if shard.file != target.name or not path.is_file():
            continue
        if shard.input_sha256 != digest() or not is_intact(path, shard):
            return None
        listed = read_bad(published, manifest.bad_list)
        target.unlink(missing_ok=True)
        try:
            os.link(path, target, follow_symlinks=False)
        except OSError:  # a file system without links
            shutil.copyfile(path, target)
        return ShardResult(shard, [(name, reason) for name, reason in listed if name in names])
    return None


def is_published(folder: PlanFolder, plan: Plan, digest: Callable[[int], str]) -> bool:
    """Tell whether all shards of a plan are published, whole, and made of `digest` of each number.

    Raises:
        AvmitError: the published config has no good manifest.
    """
    published = folder.out / plan.config
    there = {shard.file: shard for shard in read_manifest(published).shards}
    if [*there] != [planned.file for planned in plan.shards]:
        return False
    same = all(
        there[planned.file].input_sha256 == digest(number)
        for number, planned in enumerate(plan.shards)
    )
    # Last, for it reads all of them.
    return same and all(is_intact(published / file, shard) for file, shard in there.items())


def _alone(plan: Plan, shard: Shard) -> Manifest:
    """Return a manifest of that shard and no other, as an index is compared with."""
    return Manifest(plan.config, plan.format, plan.compression, {}, {"train": [shard]})


def _mark(folder: PlanFolder, file: str) -> Path:
    return folder.shards / f"{file}.json"


def _index(folder: PlanFolder, shard: Shard) -> Path:
    return folder.shards / f"{shard.file}.{shard.sha256}.index"


def _texts(row: Any, length: int) -> tuple[str, ...]:
    if not isinstance(row, list) or len(row) != length:
        raise ValueError("a row of what is left out has other columns")
    if not all(isinstance(text, str) for text in row):
        raise ValueError("a row of what is left out has no texts")
    return tuple(row)
