"""`avmit convert`: a release as downloaded becomes a hub package."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import avmit
from avmit import AvmitError
from conversion.card.readme import card_text, put_card
from conversion.convert import shard as embeddings
from conversion.convert.plan import EmbeddingPlan, plan_embeddings
from conversion.convert.ratings import (
    describe_csv,
    ratings_configs,
    ratings_rows,
    ratings_split,
    write_ratings,
)
from conversion.convert.shard import OnBadRecord, ShardTask
from conversion.cores import usable_cores
from conversion.package.kind import check_one_kind
from conversion.package.manifest import (
    BAD,
    MISSING,
    Manifest,
    Shard,
    check_one_format,
    read_manifest,
    sha256_of,
)
from conversion.package.manifest import NAME as MANIFEST
from conversion.package.manifest_problems import check_config_name
from conversion.package.staging import ShardResult, Staging, check_inputs, is_intact
from conversion.package.workspace import Workspace, take_over, workspace
from conversion.package.writer import DEFAULT_MAX_SHARD_BYTES, Encoding, shard_name
from conversion.release import annotations as csv_files
from conversion.release.annotations import Annotations
from conversion.release.archives import remove_spills
from conversion.release.record_sets import RecordSet
from conversion.wording import printable
from conversion.workers import Progress, run_tasks
from conversion.zenodo.record_file import read_record_of, source_of

_SPILLS = "_archives"  # no config's name begins so


@dataclass(frozen=True)
class Options:
    """What the command line sets; `configs` None builds all that SOURCE has."""

    configs: Sequence[str] | None = None
    tfrecords: Mapping[str, Path] = field(default_factory=dict)
    workers: int | None = None
    max_shard_bytes: int = DEFAULT_MAX_SHARD_BYTES
    encoding: Encoding = field(default_factory=Encoding)
    on_bad_record: OnBadRecord = "error"


Earlier = Literal["none", "kept", "changed", "damaged"]
"""What an earlier run left of a shard: nothing, the same, one of other input or options, or one
that does not have its checksum."""


@dataclass(frozen=True)
class Built:
    """One config of a finished conversion, and how many of its shards an earlier run had made."""

    manifest: Manifest
    changed: bool = False
    earlier: Counter[Earlier] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


def convert(
    source: Path,
    out: Path,
    options: Options | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Built]:
    """Build the configs of a release into the hub package `out`.

    Nothing is seen in `out` before all of it is finished and right. Shards that an earlier run
    finished, from the same rows, records and options, are kept.

    Raises:
        AvmitError: bad input, a file in `out` that would be replaced and is not avmit's, or a
            package that `datasets` could not read, with nothing changed in `out`; or the folder is
            in use.
    """
    options = options or Options()
    check_options(source, options)
    files = csv_files.find_files(source)
    annotations = csv_files.read_annotations(files)
    ratings = ratings_configs(options.configs)
    record = read_record_of(source)
    with workspace(out) as space:
        work = _spill_folder(space)
        plans = plan_embeddings(source, annotations, options.tfrecords, options.configs, work)
        staged = _stage(space, ratings, plans, files, options)
        finished = _build_shards(plans, annotations, staged, options, progress)
        for plan in plans:
            _check_any_row(plan, finished[plan.config])
        prepared = [
            _prepare_ratings(config, annotations, files[config], record, staged[config], options)
            for config in ratings
        ]
        # Of an archive that holds several sets, the checksum is taken once.
        archives = {plan.records.archive for plan in plans if plan.records.archive}
        checksums = {archive: sha256_of(archive) for archive in archives}
        for plan in plans:
            made_of = describe_source(plan.records, checksums, record)
            prepared.append(
                _prepare_embeddings(
                    plan, annotations, finished[plan.config], made_of, staged, options
                )
            )
        by_config = {item.manifest.config: item for item in prepared}
        coming = {name: (b.manifest, staged[name].folder) for name, b in by_config.items()}
        card = card_text(out, coming)  # what is wrong with it is known before anything is seen
        built = [replace(b, changed=staged[name].publish()) for name, b in by_config.items()]
        put_card(out, card)
        remove_spills(work)
    return built


def check_options(source: Path, options: Options) -> None:
    """Check what can be checked without reading the release.

    Raises:
        AvmitError: there is no such folder, or a config has a name that none has.
    """
    if not source.is_dir():
        raise AvmitError(f"no folder {source}: name the one that holds the release's files")
    for name in options.tfrecords:
        check_config_name(name)
    known = {*avmit.RATINGS_CONFIGS, *avmit.EMBEDDING_DIMS, *options.tfrecords}
    unknown = [name for name in options.configs or () if name not in known]
    if unknown:
        raise AvmitError(
            f"no config '{unknown[0]}': choose from {', '.join(sorted(known))}, "
            f"or name a record set with --tfrecords {unknown[0]}=PATH"
        )


def _spill_folder(space: Workspace) -> Path:
    """Return this run's folder for what compressed tars hold, with what earlier runs left there."""
    folder = space.folder(_SPILLS)
    for earlier in space.earlier(_SPILLS):
        take_over(earlier, folder)
    return folder


def _stage(
    space: Workspace,
    ratings: Sequence[str],
    plans: Sequence[EmbeddingPlan],
    files: Mapping[str, Path],
    options: Options,
) -> dict[str, Staging]:
    """Make sure that the configs may be published before any work is done for them."""
    configs = [*ratings, *(plan.config for plan in plans)]
    check_places(space.out, configs, [*files.values(), *map(read_from, plans)], options)
    return {config: Staging(space, config) for config in configs}


def read_from(plan: EmbeddingPlan) -> Path:
    """Return the folder or archive that a config's records are read from."""
    return plan.records.archive or plan.records.path


def check_places(
    out: Path, configs: Sequence[str], inputs: Sequence[Path], options: Options
) -> None:
    """Refuse configs that could not be published.

    Raises:
        AvmitError: one is there and is of another kind, or holds what is to be read, or the package
            would be of several formats, or is of lists.
    """
    for config in configs:
        check_inputs(out / config, inputs)
        _check_not_extracted(out / config)
    check_one_format(out, dict.fromkeys(configs, options.encoding.format))
    check_one_kind(out, dict.fromkeys(configs, False))


def _check_not_extracted(published: Path) -> None:
    """Keep hours of work on videos from being replaced by records of the same config's name."""
    if (published / MANIFEST).is_file() and read_manifest(published).extracted:
        raise AvmitError(
            f"{published} was made by `avmit extract` and would be replaced: give the record set "
            "another name with --tfrecords, or choose another --out"
        )


@dataclass(frozen=True)
class _Finished:
    """A shard's result with its split, and what an earlier run had left of it."""

    split: str
    result: ShardResult
    earlier: Earlier


def _build_shards(
    plans: Sequence[EmbeddingPlan],
    annotations: Annotations,
    staged: Mapping[str, Staging],
    options: Options,
    progress: Progress,
) -> dict[str, list[_Finished]]:
    """Build all shards of all embedding configs, and return them by config in shard order."""
    tasks = [
        (task, staged[plan.config])
        for plan in plans
        for task in plan.tasks(
            annotations,
            staged[plan.config].shard,
            options.encoding,
            options.max_shard_bytes,
            options.on_bad_record,
        )
    ]
    total = sum(len(task.videos) for task, _ in tasks)
    finished: dict[Path, _Finished] = {}
    # The largest first: the last shards to finish are then small, and no core waits long.
    largest_first = sorted(tasks, key=lambda item: -len(item[0].videos))
    workers = options.workers or usable_cores()
    progress(0, total)
    for (task, _), (result, earlier) in run_tasks(
        _finish_shard, largest_first, workers, lambda done: progress(done, total)
    ):
        if result.shard is None:
            raise AvmitError(bad_records_text(task.config, result.bad))
        finished[task.path] = _Finished(task.split, result, earlier)
    by_config: dict[str, list[_Finished]] = {plan.config: [] for plan in plans}
    for task, _ in tasks:
        by_config[task.config].append(finished[task.path])
    return by_config


def _finish_shard(
    item: tuple[ShardTask, Staging], advance: Callable[[int], None]
) -> tuple[ShardResult, Earlier]:
    """Keep a task's shard if it was made of the same and is whole; write it otherwise."""
    task, staging = item
    names = {video.tfrecord_filename for video in task.videos}
    earlier: Earlier = "none"
    for path, shard, bad in staging.candidates(task.path.name, names):
        if shard.input_sha256 != embeddings.source_digest(task):
            earlier = "changed"
        elif not is_intact(path, shard):
            earlier = "damaged"
        elif not bad or task.on_bad_record == "skip":
            kept = ShardResult(shard, bad)
            staging.adopt(path)
            staging.record(kept)
            advance(len(task.videos))
            return kept, "kept"
    result = embeddings.write_shard(task, advance)
    if result.shard is not None:
        staging.record(result)
    return result, earlier


def bad_records_text(config: str, bad: Sequence[tuple[str, str]]) -> str:
    """Say which records are bad, and what to do."""
    listed = "; ".join(f"{name} {reason}" for name, reason in bad)
    return (
        f"bad records in {config}: {listed}. "
        "Fetch them again, or leave them out with --on-bad-record skip"
    )


def _check_any_row(plan: EmbeddingPlan, finished: Sequence[_Finished]) -> None:
    if not any(item.result.shard and item.result.shard.rows for item in finished):
        name, reason = finished[0].result.bad[0]
        raise AvmitError(
            f"none of the {len(plan.records.names):,} records in {plan.records.path} can be used "
            f"(the first: {name} {reason}): fetch the set again"
        )


def _prepare_embeddings(
    plan: EmbeddingPlan,
    annotations: Annotations,
    finished: Sequence[_Finished],
    source: dict[str, Any],
    staged: Mapping[str, Staging],
    options: Options,
) -> Built:
    missing = plan.missing(annotations)
    bad = [row for item in finished for row in item.result.bad]
    splits: dict[str, list[Shard]] = {}
    for item in finished:
        assert item.result.shard is not None
        splits.setdefault(item.split, []).append(item.result.shard)
    # datasets cannot load a split of no rows, which is what bad records can leave.
    splits = {s: shards for s, shards in splits.items() if any(shard.rows for shard in shards)}
    manifest = Manifest(
        config=plan.config,
        format=options.encoding.format,
        compression=options.encoding.compression,
        source=source,
        splits=splits,
        dims={"audio": plan.dims[0], "visual": plan.dims[1]},
        missing_records=len(missing),
        bad_records=len(bad),
    )
    lists: dict[str, list[tuple[str, ...]]] = {
        MISSING: [("tfrecord_filename",), *((name,) for name in missing)] if missing else [],
        BAD: [("tfrecord_filename", "reason"), *bad] if bad else [],
    }
    staged[plan.config].prepare(manifest, lists)
    earlier = Counter(item.earlier for item in finished)
    return Built(manifest, False, earlier, missing, bad)


def describe_source(
    records: RecordSet, checksums: Mapping[Path, str], record: dict[str, Any]
) -> dict[str, Any]:
    """Return the manifest's `source` of a config of records; `checksums` are those of archives."""
    source: dict[str, Any] = {
        "kind": "tfrecords",
        "name": printable(records.path.name),
        "records": len(records.names),
        "strays": records.strays,
    }
    if records.archive is not None:
        source["archive"] = printable(records.archive.name)
        source["sha256"] = checksums[records.archive]
    return source | source_of(records.archive or records.path, record)


def _prepare_ratings(
    config: str,
    annotations: Annotations,
    file: Path,
    record: dict[str, Any],
    staging: Staging,
    options: Options,
) -> Built:
    # A few megabytes at most: never compressed, so that every reader can map them.
    encoding = Encoding(options.encoding.format)
    split = ratings_split(config)
    source = describe_csv(file, record)
    path = staging.shard(shard_name(split, 0, 1, encoding))
    shard = write_ratings(path, ratings_rows(config, annotations), encoding, source["sha256"])
    published = staging.published / path.name
    if is_intact(published, shard):
        staging.adopt(published)
    manifest = Manifest(
        config=config,
        format=encoding.format,
        compression=encoding.compression,
        source=source,
        splits={split: [shard]},
    )
    staging.prepare(manifest, {})
    return Built(manifest)
