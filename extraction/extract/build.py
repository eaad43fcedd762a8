"""`avmit extract`: videos become an embedding config of a hub package."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.card.readme import card_text, put_card
from conversion.cores import usable_cores
from conversion.package.kind import check_one_kind
from conversion.package.manifest import (
    BAD_VIDEOS,
    NAME,
    Manifest,
    Shard,
    check_one_format,
    read_manifest,
)
from conversion.package.manifest_problems import check_config_name
from conversion.package.staging import (
    ShardResult,
    Staging,
    check_inputs,
    check_replaceable,
    is_intact,
)
from conversion.package.workspace import workspace
from conversion.package.writer import batch_rows
from extraction.encoders.base import Side
from extraction.encoders.settings import Modality
from extraction.extract.backends import as_begun, remember
from extraction.extract.checkpoint import Spill
from extraction.extract.cutting import Columns, cut, making_of, source_of
from extraction.extract.options import Encoders, Options, check_options, choose_encoders, open_sides
from extraction.extract.retry import check_same, retry_shard
from extraction.extract.rows import Rows, choose_rows
from extraction.extract.shard import (
    OnBadVideo,
    ShardTask,
    bad_rows,
    bad_videos_error,
    by_filename,
    input_digest,
    write_shard,
)
from extraction.pipeline.samples import samples

Progress = Callable[[int, int, int], None]
"""Told of (videos done since the last call, videos in all, bad ones since the last call)."""


@dataclass(frozen=True)
class Extracted:
    """A finished extraction; `kept` counts shards that were there already, `bad` has
    (filename, reason), and `mended` counts the bad videos of before that now have a row.
    """

    manifest: Manifest
    changed: bool
    kept: int
    bad: list[tuple[str, str]]
    mended: int = 0


def extract(
    videos: Path,
    annotations: Path | None,
    out: Path,
    options: Options,
    progress: Progress = lambda done, total, bad: None,
    announce: Callable[[str], None] = lambda line: None,
) -> Extracted:
    """Embed videos below `videos` and build a config of the hub package `out`.

    They are AVMIT's rated ones, where `annotations` is a folder with the release's three CSV files,
    or those of a list, which the options name. Nothing is seen in `out` before
    all of it is finished; what an interrupted run finished is kept. `announce` is told of each
    encoder about which the loaded network says more than is known before.

    Raises:
        AvmitError: bad input, with nothing changed in `out`; or the folder is in use.
    """
    # What costs little first: finding an encoder may fetch it.
    check_config_name(options.config)
    check_options(options)
    chosen = choose_rows(videos, annotations, options)
    rows = chosen.read()
    with workspace(out) as space:
        published = out / options.config
        check_inputs(published, chosen.inputs)
        check_replaceable(published)
        check_kind(published, options.retry_failed, rows.subject.listed)
        check_one_format(out, {options.config: options.encoding.format})
        check_one_kind(out, {options.config: rows.subject.listed})
        files = zip(rows.filenames, rows.whereabouts.files, strict=True)
        missing = [(filename, "is missing") for filename, file in files if file is None]
        if len(missing) == len(rows.rows) or (missing and _policy(options) == "error"):
            raise bad_videos_error(missing, videos)
        encoders = choose_encoders(options)
        staging = Staging(space, options.config, BAD_VIDEOS)
        encoders = as_begun(encoders, options, staging)
        sides = open_sides(encoders, options, samples(rows.paths), announce)
        encoders = {column: side.encoder for column, side in sides.items()}
        source = source_of(sides, options, rows.subject)
        tasks = list(_tasks(rows, staging, encoders, making_of(source), options))
        if options.retry_failed:
            check_same(read_manifest(published), tasks, source, published)
        remember(sides, staging)
        finished = _finish(tasks, staging, sides, options, progress)
        extracted = _prepare(tasks, finished, staging, source, encoders, options)
        card = card_text(out, {options.config: (extracted.manifest, staging.folder)})
        extracted = replace(extracted, changed=staging.publish())
        put_card(out, card)
    return extracted


def _policy(options: Options) -> OnBadVideo:
    # Those that failed may fail again, and the rest is not looked at.
    return "skip" if options.retry_failed else options.on_bad_video


def check_kind(published: Path, retry: bool, listed: bool) -> None:
    """Refuse to replace a config that was not made from such videos, or to retry one that is not
    there.

    Raises:
        AvmitError: it is to be refused.
    """
    if not (published / NAME).is_file():
        if retry:
            raise AvmitError(
                f"no config in {published} to retry: run `avmit extract` without --retry-failed"
            )
        return
    manifest = read_manifest(published)
    if not manifest.extracted:
        raise AvmitError(
            f"{published} was not made by `avmit extract` and would be replaced: "
            "choose another --config"
        )
    if manifest.listed != listed:
        of = "a list" if manifest.listed else "AVMIT's rated videos"
        raise AvmitError(
            f"{published} was made of {of} and would be replaced: choose another --config"
        )


def _tasks(
    rows: Rows,
    staging: Staging,
    encoders: Encoders,
    source: dict[str, Any],
    options: Options,
) -> Iterator[ShardTask]:
    columns = Columns.of(encoders, rows.subject)
    files = rows.whereabouts.files
    for split, name, places in cut(rows, columns.row_bytes, options):
        yield ShardTask(
            split=split,
            path=staging.shard(name),
            root=rows.whereabouts.root,
            subject=rows.subject,
            videos=[rows.rows[place] for place in places],
            found=[files[place] for place in places],
            schema=columns.schema,
            encoding=options.encoding,
            batch_rows=batch_rows(columns.row_bytes),
            source=source,
        )


@dataclass(frozen=True)
class _Finished:
    result: ShardResult
    kept: bool
    mended: int = 0


def _finish(
    tasks: list[ShardTask],
    staging: Staging,
    sides: Mapping[Modality, Side],
    options: Options,
    progress: Progress,
) -> list[_Finished]:
    """Finish each shard in turn: its batches fill all cores."""
    total = sum(len(task.videos) for task in tasks)
    workers = options.workers or usable_cores()

    def advance(done: int, bad: int) -> None:
        progress(done, total, bad)

    progress(0, total, 0)
    published = _published_shards(staging) if options.retry_failed else set()
    finished = []
    for task in tasks:
        item = _kept(task, staging, options)
        if item is not None:
            advance(len(task.videos), len(item.result.bad))
        elif task.path.name in published:
            result, mended = retry_shard(task, staging, sides, workers, advance)
            item = _Finished(result, not mended, mended)
        else:
            staging.take_over(f".{task.path.name}.*.spill")
            spill = Spill(task.path, input_digest(task), len(task.videos))
            result = write_shard(task, spill, sides, workers, _policy(options), advance)
            item = _Finished(result, False)
        staging.record(item.result)
        finished.append(item)
    return finished


def _published_shards(staging: Staging) -> set[str]:
    return {shard.file for shard in read_manifest(staging.published).shards}


def _kept(task: ShardTask, staging: Staging, options: Options) -> _Finished | None:
    """Return what an earlier run made of the same, if that is whole and is not to be retried."""
    digest = input_digest(task)
    for path, shard, bad in staging.candidates(task.path.name, set(task.names)):
        if shard.input_sha256 != digest or not is_intact(path, shard):
            continue
        if options.retry_failed and bad and path.parent == staging.published:
            continue
        if bad and _policy(options) == "error":
            raise bad_videos_error(by_filename(bad_rows(task, bad)), task.root)
        staging.adopt(path)
        return _Finished(ShardResult(shard, bad), True)
    return None


def _prepare(
    tasks: list[ShardTask],
    finished: list[_Finished],
    staging: Staging,
    source: dict[str, Any],
    encoders: Encoders,
    options: Options,
) -> Extracted:
    splits: dict[str, list[Shard]] = {}
    for task, item in zip(tasks, finished, strict=True):
        assert item.result.shard is not None
        splits.setdefault(task.split, []).append(item.result.shard)
    items = zip(tasks, finished, strict=True)
    bad = [row for task, item in items for row in bad_rows(task, item.result.bad)]
    listed = by_filename(bad)
    if not any(shard.rows for shards in splits.values() for shard in shards):
        raise bad_videos_error(listed, tasks[0].root)
    # datasets cannot load a split of no rows, which is what bad videos can leave.
    splits = {s: shards for s, shards in splits.items() if any(shard.rows for shard in shards)}
    manifest = Manifest(
        config=options.config,
        format=options.encoding.format,
        compression=options.encoding.compression,
        source=source,
        splits=splits,
        dims={column: encoder.width for column, encoder in encoders.items()},
        bad_records=len(bad),
    )
    rows = [tasks[0].subject.bad_columns, *bad]
    staging.prepare(manifest, {BAD_VIDEOS: rows if bad else []})
    kept = sum(item.kept for item in finished)
    return Extracted(manifest, False, kept, listed, sum(item.mended for item in finished))
