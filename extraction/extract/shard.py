"""Embed the videos of one shard and write it: the unit of work that is kept or done again."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from avmit import AvmitError
from conversion.package.manifest import Shard
from conversion.package.staging import ShardResult
from conversion.package.writer import Encoding, ShardWriter, list_array
from extraction.encoders.base import Side
from extraction.encoders.settings import Modality
from extraction.extract.checkpoint import Spill
from extraction.extract.subject import Row, Subject
from extraction.extract.whereabouts import Paths
from extraction.media.video_file import BadVideo
from extraction.pipeline.batches import Counts
from extraction.pipeline.embed import Embedded, Outcome, embed

OnBadVideo = Literal["error", "skip"]
Advance = Callable[[int, int], None]
"""Told of (videos done, bad ones among them) since the last call."""

WRITER_VERSION = 1
"""Raise it when the same videos are to give other bytes, so that no old shard is kept."""


@dataclass(frozen=True)
class ShardTask:
    """All that a shard's bytes follow from, and where it goes.

    `found` are the videos' files below `root`, None for a missing one; `source` describes encoders
    and libraries as the manifest does.
    """

    split: str
    path: Path
    root: Path
    subject: Subject
    videos: Sequence[Row]
    found: Sequence[str | None]
    schema: pa.Schema
    encoding: Encoding
    batch_rows: int
    source: Mapping[str, Any] = field(repr=False)

    @property
    def files(self) -> list[Path | None]:
        """The videos' files, None for a missing one."""
        return list(Paths(self.root, self.found))

    @property
    def names(self) -> list[str]:
        """What identifies the videos, by which bad ones are listed."""
        return self.values(self.subject.key, self.videos)

    def values(self, field: str, videos: Iterable[Row]) -> list[Any]:
        """Return the values of a field of videos' rows."""
        at = self.subject.fields.index(field)
        return [video[at] for video in videos]


def input_digest(task: ShardTask) -> str:
    """Return the `input_sha256` of a task's shard.

    A video counts by its path below the root, its size and its time of change, so that hours of
    work are recognised without reading every video.
    """
    described = {
        "writer": WRITER_VERSION,
        "shard": task.path.name,
        "schema": task.schema.serialize().to_pybytes().hex(),
        "encoding": asdict(task.encoding),
        "batch_rows": task.batch_rows,
        "source": task.source,
        "videos": [dict(zip(task.subject.fields, video, strict=True)) for video in task.videos],
        "files": file_facts(task),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def file_facts(task: ShardTask) -> list[tuple[str, int, int] | None]:
    """Return of each file the path below the root, the size and the time of change in ns."""
    return [_identity(file, task.root) for file in task.files]


def _identity(file: Path | None, root: Path) -> tuple[str, int, int] | None:
    if file is None:
        return None
    try:
        facts = file.stat()
    except OSError:
        return None
    return file.relative_to(root).as_posix(), facts.st_size, facts.st_mtime_ns


def write_shard(
    task: ShardTask,
    spill: Spill,
    sides: Mapping[Modality, Side],
    workers: int,
    on_bad_video: OnBadVideo,
    advance: Advance,
) -> ShardResult:
    """Embed a task's videos and write its shard, going on where an earlier run was cut off.

    `spill` is of the task's `input_digest`.

    Raises:
        AvmitError: a video is bad and none may be; what was computed before it is kept.
    """

    def outcomes() -> Iterator[Outcome]:
        done: list[Counts] = []
        for outcome in spill.read():
            done.append({} if isinstance(outcome, BadVideo) else outcome.counts)
            yield outcome
        for outcome in embed(task.files, sides, workers, done):
            spill.keep(outcome)
            yield outcome

    try:
        result = write_outcomes(task, outcomes(), spill.digest, on_bad_video, advance)
    except BaseException:
        spill.flush()
        raise
    spill.drop()
    return result


def write_outcomes(
    task: ShardTask,
    outcomes: Iterable[Outcome],
    digest: str,
    on_bad_video: OnBadVideo,
    advance: Advance,
) -> ShardResult:
    """Write a task's shard from its videos' outcomes, holding one record batch in memory.

    Raises:
        AvmitError: a video is bad and none may be.
    """
    bad: list[tuple[str, str]] = []
    steps: dict[str, list[int]] = {"audio": [], "visual": []}
    filenames = task.values("filename", task.videos)
    rows = zip(task.videos, task.names, filenames, outcomes, strict=True)
    with ShardWriter(task.path, task.schema, task.encoding) as writer:
        while True:
            good = []
            seen = 0
            for video, name, filename, outcome in islice(rows, task.batch_rows):
                seen += 1
                if isinstance(outcome, BadVideo):
                    bad.append((name, str(outcome)))
                    if on_bad_video == "error":
                        raise bad_videos_error([(filename, str(outcome))], task.root)
                else:
                    good.append((video, outcome))
                advance(1, int(isinstance(outcome, BadVideo)))
            if good:
                writer.write(_batch(good, task))
            for _, embedded in good:
                for name, matrix in embedded.embeddings.items():
                    steps[name].append(len(matrix))
            if seen < task.batch_rows:
                break
    timesteps = {name: [min(found), max(found)] for name, found in steps.items() if found}
    shard = Shard(task.path.name, writer.rows, writer.bytes, writer.sha256, digest, timesteps)
    return ShardResult(shard, bad)


def bad_rows(task: ShardTask, bad: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the rows of the list of bad videos, which are given as (name, reason)."""
    if len(task.subject.bad_columns) == 2:
        return [*bad]
    filenames = dict(zip(task.names, task.values("filename", task.videos), strict=True))
    return [(name, reason, filenames[name]) for name, reason in bad]


def by_filename(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Return (filename, reason) of rows of the list of bad videos."""
    return [(row[2] if len(row) > 2 else row[0], row[1]) for row in rows]


def bad_videos_error(bad: Sequence[tuple[str, str]], root: Path) -> AvmitError:
    """Return the error that names bad videos, five at most, and the remedy."""
    listed = "; ".join(f"{name} {reason}" for name, reason in bad[:5])
    more = f" and {len(bad) - 5:,} more" if len(bad) > 5 else ""
    return AvmitError(
        f"bad videos in {root}: {listed}{more}. Mend them and run again, "
        "or leave them out with --on-bad-video skip"
    )


def _batch(rows: Sequence[tuple[Row, Embedded]], task: ShardTask) -> pa.RecordBatch:
    label_index = {label: index for index, label in enumerate(task.subject.labels)}
    videos = [video for video, _ in rows]
    columns: list[pa.Array] = []
    for column in task.schema:
        match column.name:
            case "label":
                names = task.values(task.subject.label_field, videos)
                columns.append(pa.array([label_index[name] for name in names], column.type))
            case "audio" | "visual" as name:
                found = [embedded.embeddings[name] for _, embedded in rows]
                columns.append(list_array(np.concatenate(found), [len(m) for m in found]))
            case "has_audio":
                columns.append(pa.array([embedded.has_audio for _, embedded in rows], column.type))
            case name:
                columns.append(pa.array(task.values(name, videos), column.type))
    return pa.RecordBatch.from_arrays(columns, schema=task.schema)
