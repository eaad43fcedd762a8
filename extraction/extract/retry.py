"""`--retry-failed`: embed the videos that failed before, and keep the rows of all others."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from avmit import AvmitError
from conversion.package.manifest import Manifest, Shard
from conversion.package.reader import matrices, read_rows, read_schema
from conversion.package.staging import ShardResult, Staging, is_intact
from conversion.parts.agreed import difference
from extraction.encoders.arrays import Matrix
from extraction.encoders.base import Side
from extraction.encoders.describe import identity
from extraction.encoders.settings import MODALITIES, Modality
from extraction.extract.shard import Advance, ShardTask, input_digest, write_outcomes
from extraction.pipeline.embed import Embedded, Outcome, embed


def check_same(
    manifest: Manifest, tasks: Sequence[ShardTask], source: dict[str, Any], published: Path
) -> None:
    """Refuse to mix rows of another making into a published config.

    Raises:
        AvmitError: the config was made otherwise.
    """
    names = [shard.file for shard in manifest.shards]
    before = identity(manifest.source)
    now = identity(source)
    for key in {**now, "videos": {}}:
        here, there = now.get(key, {}), before.get(key, {})  # an old one may say nothing of it
        if there != here:
            raise AvmitError(
                f"{published} was made with other {key} ({difference(there, here)}): "
                "retry with the same, or extract all again without --retry-failed"
            )
    if not {*names} <= {task.path.name for task in tasks}:
        raise AvmitError(
            f"{published} was made from other annotations or with another --max-shard-size: "
            "retry with the same, or extract all again without --retry-failed"
        )


def retry_shard(
    task: ShardTask,
    staging: Staging,
    sides: Mapping[Modality, Side],
    workers: int,
    advance: Advance,
) -> tuple[ShardResult, int]:
    """Return the shard with rows for those bad videos that work now, and how many those are.

    The rows of other videos are taken over as they are. The new ones meet other frames in their
    batches than in a whole run, which on CPUs has not changed a bit (see `arrays.BATCH`);
    on other devices the last bits may differ.

    Raises:
        AvmitError: the published shard is damaged, or not of this config.
    """
    path, shard, bad = _published(task, staging)
    failed = {name for name, _ in bad}
    again = [
        (name, file) for name, file in zip(task.names, task.files, strict=True) if name in failed
    ]
    files = [file for _, file in again]
    outcomes = list(embed(files, sides, workers))
    mended = sum(isinstance(outcome, Embedded) for outcome in outcomes)
    if not mended:
        staging.adopt(path)
        advance(len(task.videos), len(outcomes))
        still = [(name, str(out)) for (name, _), out in zip(again, outcomes, strict=True)]
        return ShardResult(shard, still), 0
    merged = _merge(task, failed, iter(outcomes), _rows(path, task.subject.key))
    return write_outcomes(task, merged, input_digest(task), "skip", advance), mended


def _published(task: ShardTask, staging: Staging) -> tuple[Path, Shard, list[tuple[str, str]]]:
    for path, shard, bad in staging.candidates(task.path.name, set(task.names)):
        if path.parent == staging.published and is_intact(path, shard):
            _check_columns(path, task)
            return path, shard, bad
    raise AvmitError(
        f"{staging.published / task.path.name} is not as its manifest says: "
        "extract all again without --retry-failed"
    )


def _merge(
    task: ShardTask,
    failed: set[str],
    outcomes: Iterator[Outcome],
    rows: Iterator[tuple[str, Embedded]],
) -> Iterator[Outcome]:
    for video in task.names:
        if video in failed:
            yield next(outcomes)
            continue
        name, embedded = next(rows, ("", None))
        if embedded is None or name != video:
            raise AvmitError(
                f"{task.path.name} has a row of '{name}' where {video} should be: "
                "extract all again without --retry-failed"
            )
        yield embedded


def _check_columns(path: Path, task: ShardTask) -> None:
    if not read_schema(path).equals(task.schema):
        raise AvmitError(
            f"{path} has other columns than a shard of this config: "
            "extract all again without --retry-failed"
        )


def _rows(path: Path, key: str) -> Iterator[tuple[str, Embedded]]:
    for batch in read_rows(path):
        found = {name: _split(batch, name) for name in MODALITIES if name in batch.schema.names}
        names = batch.column(key).to_pylist()
        has_audio = batch.column("has_audio").to_pylist()
        for row, (name, heard) in enumerate(zip(names, has_audio, strict=True)):
            yield name, Embedded(heard, {column: rows[row] for column, rows in found.items()})


def _split(batch: pa.RecordBatch, name: Modality) -> list[Matrix]:
    offsets, values = matrices(batch.column(name))
    return [values[start:end] for start, end in itertools.pairwise(offsets)]
