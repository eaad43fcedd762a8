"""The plans of a conversion by many tasks: one a config, made once, which say where records lie."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from avmit import AvmitError
from conversion.convert.build import Options, check_places, describe_source, read_from
from conversion.convert.plan import EmbeddingPlan, plan_embeddings
from conversion.convert.ratings import (
    describe_csv,
    ratings_configs,
    ratings_rows,
    ratings_split,
)
from conversion.package.manifest import sha256_of
from conversion.package.writer import Encoding, shard_name
from conversion.parts.agreed import canonical, difference
from conversion.parts.listing import Cut, write_listing
from conversion.parts.place import PlanFolder, plans
from conversion.parts.plan import Plan
from conversion.release import annotations as csv_files
from conversion.release.annotations import Annotations, Video
from conversion.release.archives import ArchiveReader, Member, is_compressed_tar
from conversion.release.record_sets import FolderReader, Reader
from conversion.release.visible_files import visible_files
from conversion.zenodo.record_file import read_record_of

_NUMBERS = ("r1", "r2", "r3")
_VIDEO = [
    pa.field(name, pa.int64() if name in _NUMBERS else pa.string(), nullable=False)
    for name in Video._fields
]
_MEMBER = [
    (field.name, pa.bool_() if field.type in (bool, "bool") else pa.int64())
    for field in dataclasses.fields(Member)
]
COLUMNS = pa.schema([*_VIDEO, *_MEMBER])
"""A record's row, and its place in an archive, which is None for one that is a file."""


def begin(source: Path, out: Path, options: Options) -> list[Plan]:
    """Return the plans of all configs that are asked for, in order, made where there are none.

    Raises:
        AvmitError: bad input, or the plans that are there are of other annotations or options.
    """
    files = csv_files.find_files(source)
    of = _made_of(files, options)
    there = _there(out, of)
    if there is not None:
        check_places(out, [plan.config for plan in there], [source], options)
        return there
    return list(_make(source, out, options, files, of))


def reader_of(plan: Plan, source: Path, options: Options, rows: pa.Table) -> Reader:
    """Return what reads the records of a shard, whose `rows` are of COLUMNS.

    Raises:
        AvmitError: the plan leads out of the release.
    """
    place = plan.settled.get("records")
    place = place if isinstance(place, dict) else {}
    below = PurePosixPath(str(place.get("below", "")))
    names = rows.column("tfrecord_filename").to_pylist()
    odd = [name for name in (str(below), *names) if ".." in name.split("/") or name[:1] == "/"]
    columns = [rows.column(name) for name, _ in _MEMBER]
    if place.get("archive") and any(column.null_count for column in columns):
        odd.append("members that no archive has")
    if odd:
        raise AvmitError(f"the plan of {plan.config} leads to {odd[0]}: delete it to plan again")
    root = options.tfrecords.get(plan.config, source) / below
    if not place.get("archive"):
        return FolderReader(str(root))
    values = (column.to_pylist() for column in columns)
    members = [Member(*one) for one in zip(*values, strict=True)]
    return ArchiveReader(str(root), dict(zip(names, members, strict=True)))


def _made_of(files: dict[str, Path], options: Options) -> dict[str, Any]:
    content: dict[str, Any] = {
        "options": {
            "--config": "all" if options.configs is None else sorted(options.configs),
            "--tfrecords": sorted(options.tfrecords) or "none",
            "--max-shard-size": options.max_shard_bytes,
            "--format": options.encoding.format,
            "--compression": options.encoding.compression,
        },
        "annotations": {
            csv_files.FILES[name]: sha256_of(file)[:16] for name, file in files.items()
        },
    }
    found: dict[str, Any] = json.loads(canonical(content))
    return found


def _there(out: Path, of: dict[str, Any]) -> list[Plan] | None:
    """Return the plans that are there, if they are all of the run; None if one is missing.

    Raises:
        AvmitError: they are of a run with other annotations or options.
    """
    found = {name: PlanFolder(out, name).read() for name in plans(out)}
    ours = {
        name: plan for name, plan in found.items() if plan and plan.kind in ("csv", "tfrecords")
    }
    for plan in ours.values():
        for name, here in of.items():
            there = plan.made_of.get(name)
            if isinstance(there, dict) and there != here:
                raise AvmitError(
                    f"{PlanFolder(out, plan.config).path} is the plan of a run with other {name} "
                    f"({difference(there, here)}): start all tasks with the same, or delete it to "
                    "plan again"
                )
        configs = plan.settled.get("configs")
        names = list(map(str, configs)) if isinstance(configs, list) else []
        if names and all(name in ours for name in names):
            return [ours[name] for name in names]
    return None


def _make(
    source: Path, out: Path, options: Options, files: dict[str, Path], of: dict[str, Any]
) -> Iterator[Plan]:
    annotations = csv_files.read_annotations(files)
    for path in (*map(Path, visible_files(source)), *options.tfrecords.values()):
        if is_compressed_tar(path):
            raise AvmitError(
                f"{path} can be read from its start only, which many tasks cannot: unpack it, or "
                "convert without --shards"
            )
    sets = plan_embeddings(source, annotations, options.tfrecords, options.configs, out)
    ratings = ratings_configs(options.configs)
    configs = [*ratings, *(one.config for one in sets)]
    check_places(out, configs, [*files.values(), *map(read_from, sets)], options)
    record = read_record_of(source)
    archives = {one.records.archive for one in sets if one.records.archive}
    checksums = {archive: sha256_of(archive) for archive in archives}
    for config in ratings:
        csv = describe_csv(files[config], record)
        yield _put(
            out,
            Encoding(options.encoding.format),
            config,
            of,
            {"source": csv, "configs": configs},
            _ratings_cut(config, annotations, options),
        )
    for one in sets:
        settled = {
            "source": describe_source(one.records, checksums, record),
            "configs": configs,
            "labels": annotations.labels,
            "row_bytes": one.row_bytes,
            "records": _place(one, source, options),
        }
        yield _put(
            out,
            options.encoding,
            one.config,
            of,
            settled,
            _cuts(one, annotations, options),
            {"audio": one.dims[0], "visual": one.dims[1]},
            one.missing(annotations),
        )


def _put(
    out: Path,
    encoding: Encoding,
    config: str,
    of: dict[str, Any],
    settled: dict[str, Any],
    cuts: Iterator[Cut],
    dims: dict[str, int] | None = None,
    missing: Sequence[str] = (),
) -> Plan:
    folder = PlanFolder(out, config)
    folder.make()
    listing, shards = write_listing(folder.path, cuts)
    return folder.put(
        Plan(
            config=config,
            kind=settled["source"]["kind"],
            format=encoding.format,
            compression=encoding.compression,
            dims=dims or {},
            made_of=of,
            settled=settled,
            listing=listing,
            shards=shards,
            bad_columns=("tfrecord_filename", "reason"),
            missing=tuple(missing),
        )
    )


def _ratings_cut(config: str, annotations: Annotations, options: Options) -> Iterator[Cut]:
    split = ratings_split(config)
    rows = pa.Table.from_batches([ratings_rows(config, annotations)])
    yield shard_name(split, 0, 1, Encoding(options.encoding.format)), split, rows


def _cuts(one: EmbeddingPlan, annotations: Annotations, options: Options) -> Iterator[Cut]:
    tasks = one.tasks(annotations, Path, options.encoding, options.max_shard_bytes, "error")
    for task in tasks:
        columns: list[Any] = list(zip(*task.videos, strict=True))
        if isinstance(task.reader, ArchiveReader):
            members = [task.reader.members[video.tfrecord_filename] for video in task.videos]
            columns += [[getattr(member, name) for member in members] for name, _ in _MEMBER]
        else:
            columns += [[None] * len(task.videos) for _ in _MEMBER]
        arrays = [pa.array(column, f.type) for column, f in zip(columns, COLUMNS, strict=True)]
        yield task.path.name, task.split, pa.Table.from_arrays(arrays, schema=COLUMNS)


def _place(one: EmbeddingPlan, source: Path, options: Options) -> dict[str, Any]:
    """Say where a set lies, below SOURCE or what --tfrecords names, wherever that is mounted."""
    root = options.tfrecords.get(one.config, source)
    path = read_from(one)
    below = path.relative_to(root).as_posix() if path != root else ""
    return {"below": below, "archive": one.records.archive is not None}
