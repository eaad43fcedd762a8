"""`avmit extract`: videos become an embedding config of a hub package."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.card.readme import card_text, put_card
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
from conversion.release import annotations as csv_files
from conversion.release.annotations import Annotations
from extraction.encoders.base import Side
from extraction.encoders.describe import identity
from extraction.encoders.settings import Modality
from extraction.extract.backends import as_begun, remember
from extraction.extract.checkpoint import Spill
from extraction.extract.cutting import Columns, cut, source_of
from extraction.extract.options import Encoders, Options, check_options, choose_encoders, open_sides
from extraction.extract.retry import check_same, retry_shard
from extraction.extract.shard import (
    OnBadVideo,
    ShardTask,
    bad_videos_error,
    input_digest,
    write_shard,
)
from extraction.media.videos import Videos
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
    annotations: Path,
    out: Path,
    options: Options,
    progress: Progress = lambda done, total, bad: None,
    announce: Callable[[str], None] = lambda line: None,
) -> Extracted:
    """Embed all rated videos below `videos` and build a config of the hub package `out`.

    `annotations` is a folder with the release's three CSV files. Nothing is seen in `out` before
    all of it is finished; what an interrupted run finished is kept. `announce` is told of each
    encoder about which the loaded network says more than is known before.

    Raises:
        AvmitError: bad input, with nothing changed in `out`; or the folder is in use.
    """
    # What costs little first: finding an encoder may fetch it.
    check_config_name(options.config)
    check_options(options)
    copy = Videos(videos)
    rows = csv_files.read_annotations(csv_files.find_files(annotations))
    with workspace(out) as space:
        published = out / options.config
        check_inputs(published, [videos, annotations])
        check_replaceable(published)
        check_kind(published, options.retry_failed)
        check_one_format(out, {options.config: options.encoding.format})
        files = {v: copy.find(v.video_location, v.filename) for v in rows.ratings}
        missing = [(v.filename, "is missing") for v, file in files.items() if file is None]
        if len(missing) == len(files) or (missing and _policy(options) == "error"):
            raise bad_videos_error(missing, videos)
        encoders = choose_encoders(options)
        staging = Staging(space, options.config, BAD_VIDEOS)
        encoders = as_begun(encoders, options, staging)
        sides = open_sides(encoders, options, samples(files.values()), announce)
        encoders = {column: side.encoder for column, side in sides.items()}
        source = source_of(sides, options)
        tasks = list(_tasks(rows, files, videos, staging, encoders, identity(source), options))
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


def check_kind(published: Path, retry: bool) -> None:
    """Refuse to replace a config that was not made from videos, or to retry one that is not there.

    Raises:
        AvmitError: it is to be refused.
    """
    if not (published / NAME).is_file():
        if retry:
            raise AvmitError(
                f"no config in {published} to retry: run `avmit extract` without --retry-failed"
            )
        return
    if not read_manifest(published).extracted:
        raise AvmitError(
            f"{published} was not made by `avmit extract` and would be replaced: "
            "choose another --config"
        )


def _tasks(
    rows: Annotations,
    files: dict[csv_files.Video, Path | None],
    root: Path,
    staging: Staging,
    encoders: Encoders,
    source: dict[str, Any],
    options: Options,
) -> Iterator[ShardTask]:
    columns = Columns.of(encoders, rows.labels)
    for split, name, videos in cut(rows, columns.row_bytes, options):
        yield ShardTask(
            split=split,
            path=staging.shard(name),
            root=root,
            videos=videos,
            files=[files[video] for video in videos],
            labels=rows.labels,
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
    workers = options.workers or os.cpu_count() or 1

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
    for path, shard, bad in staging.candidates(task.path.name, task.names):
        if shard.input_sha256 != digest or not is_intact(path, shard):
            continue
        if options.retry_failed and bad and path.parent == staging.published:
            continue
        if bad and _policy(options) == "error":
            raise bad_videos_error(_by_filename(bad, task.videos), task.root)
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
    bad = [row for item in finished for row in item.result.bad]
    listed = _by_filename(bad, [video for task in tasks for video in task.videos])
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
    header = ("tfrecord_filename", "reason", "filename")
    names = [(*row, filename) for row, (filename, _) in zip(bad, listed, strict=True)]
    staging.prepare(manifest, {BAD_VIDEOS: [header, *names] if bad else []})
    kept = sum(item.kept for item in finished)
    return Extracted(manifest, False, kept, listed, sum(item.mended for item in finished))


def _by_filename(
    bad: Sequence[tuple[str, str]], videos: Sequence[csv_files.Video]
) -> list[tuple[str, str]]:
    """Name bad videos by what they are called in Moments in Time."""
    filenames = {video.tfrecord_filename: video.filename for video in videos}
    return [(filenames[name], reason) for name, reason in bad]
