"""Turn records into the shards of an embedding config: the part that runs in worker processes."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conversion.package.manifest import Shard
from conversion.package.staging import ShardResult
from conversion.package.writer import BATCH_BYTES, Encoding, ShardWriter, list_array
from conversion.release.annotations import Video
from conversion.release.record_sets import Reader
from conversion.tfrecord.record import BadRecord, Record, read_record

OnBadRecord = Literal["error", "skip"]
Dims = tuple[int, int]

MOST_LISTED = 5
"""How many bad records are looked for before a run gives up."""

WRITER_VERSION = 1
"""Raise it when the same records are to give other bytes, so that no old shard is kept."""


@dataclass(frozen=True)
class ShardTask:
    """All that a shard's bytes follow from, and where it goes."""

    config: str
    split: str
    path: Path
    reader: Reader
    videos: list[Video]
    labels: list[str]
    dims: Dims
    schema: pa.Schema
    encoding: Encoding
    batch_rows: int
    on_bad_record: OnBadRecord


def write_shard(task: ShardTask, advance: Callable[[int], None] = lambda rows: None) -> ShardResult:
    """Read a task's records and write its shard, holding one record batch in memory.

    `advance` is told of each batch's records; what it raises stops the work with nothing written.
    """
    result = ShardResult(None)
    source = SourceDigest(task)
    batch = _Batch(task)
    steps: dict[str, list[int]] = {name: [] for name in batch.embeddings}
    with ShardWriter(task.path, task.schema, task.encoding) as writer:
        for start in range(0, len(task.videos), task.batch_rows):
            videos = task.videos[start : start + task.batch_rows]
            for video in videos:
                try:
                    batch.add(video, _read(video, task, source))
                except BadRecord as error:
                    result.bad.append((video.tfrecord_filename, str(error)))
            if task.on_bad_record == "error" and len(result.bad) >= MOST_LISTED:
                break
            for name, column in batch.embeddings.items():
                steps[name] += column.lengths
            if batch.videos:
                writer.write(batch.take())
            advance(len(videos))
        if result.bad and task.on_bad_record == "error":
            writer.abandon()
            return result
    timesteps = {name: [min(found), max(found)] for name, found in steps.items() if found}
    result.shard = Shard(
        task.path.name, writer.rows, writer.bytes, writer.sha256, source.hexdigest(), timesteps
    )
    return result


class SourceDigest:
    """Identifies what a shard is made of without inflating it: the rows, the options and, of each
    record, its size and the CRC and length that gzip puts at its end.
    """

    def __init__(self, task: ShardTask):
        self._digest = hashlib.sha256()
        described = {
            "writer": WRITER_VERSION,
            "shard": task.path.name,
            "schema": task.schema.serialize().to_pybytes().hex(),
            "encoding": asdict(task.encoding),
            "batch_rows": task.batch_rows,
            "videos": task.videos,
        }
        self._digest.update(json.dumps(described, sort_keys=True).encode())

    def add(self, record: bytes) -> None:
        """Take in the next record; an unreadable one counts as empty."""
        self._digest.update(len(record).to_bytes(8, "little") + record[-8:])

    def hexdigest(self) -> str:
        """Return the SHA-256 so far, in hex."""
        return self._digest.hexdigest()


def source_digest(task: ShardTask) -> str:
    """Return the `input_sha256` that `write_shard` would note, without inflating a record."""
    source = SourceDigest(task)
    for video in task.videos:
        try:
            source.add(task.reader.read(video.tfrecord_filename))
        except (OSError, BadRecord):
            source.add(b"")
    return source.hexdigest()


def check_record(record: Record, video: Video, dims: Dims) -> None:
    """Check that a record is the one that its row means and has its set's widths.

    Raises:
        BadRecord: it is not, or has not.
    """
    if record.filename != video.filename:
        raise BadRecord(f"is of '{record.filename}', its row of '{video.filename}'")
    # Where the folder of tfrecord_filename and AVMIT_label differ (five of 8,256 sampled rows),
    # the extractor ran before the label was corrected, so the record has the folder's.
    folder = video.tfrecord_filename.partition("/")[0]
    if record.label not in (video.AVMIT_label, folder):
        raise BadRecord(f"is labelled '{record.label}', its row '{video.AVMIT_label}'")
    widths = record.audio.shape[1], record.visual.shape[1]
    if widths != dims:
        raise BadRecord(
            f"is {widths[0]} audio and {widths[1]} visual values wide, "
            f"its set {dims[0]} and {dims[1]}"
        )


def _read(video: Video, task: ShardTask, source: SourceDigest) -> Record:
    data = b""
    try:
        data = task.reader.read(video.tfrecord_filename)
    except OSError as error:
        raise BadRecord(f"cannot be read ({error.strerror})") from error
    finally:
        source.add(data)
    record = read_record(data)
    check_record(record, video, task.dims)
    return record


class _Batch:
    """The rows of one record batch; their embeddings lie in buffers that the next batch reuses."""

    def __init__(self, task: ShardTask):
        self._schema = task.schema
        self._label_index = {label: index for index, label in enumerate(task.labels)}
        self.videos: list[Video] = []
        # Twice what a planned batch has of each: room that is not used takes no memory.
        rows = 2 * BATCH_BYTES // (4 * sum(task.dims))
        self.embeddings = {
            name: _Embeddings(rows, dim)
            for name, dim in zip(("audio", "visual"), task.dims, strict=True)
        }

    def add(self, video: Video, record: Record) -> None:
        self.videos.append(video)
        self.embeddings["audio"].add(record.audio)
        self.embeddings["visual"].add(record.visual)

    def take(self) -> pa.RecordBatch:
        """Return the batch, valid until the next row is added."""
        columns: list[pa.Array] = []
        for column in self._schema:
            if column.name in self.embeddings:
                columns.append(self.embeddings[column.name].take())
            elif column.name == "label":
                labels = [self._label_index[video.AVMIT_label] for video in self.videos]
                columns.append(pa.array(labels, column.type))
            else:
                values = [getattr(video, column.name) for video in self.videos]
                columns.append(pa.array(values, column.type))
        self.videos = []
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


class _Embeddings:
    """The matrices of one column, one below the other, with room for `rows` rows, or more."""

    def __init__(self, rows: int, dim: int):
        self.lengths: list[int] = []
        self._values = np.empty((rows, dim), np.float32)
        self._used = 0

    def add(self, matrix: npt.NDArray[np.float32]) -> None:
        end = self._used + len(matrix)
        if end > len(self._values):
            grown = np.empty((max(end, 2 * len(self._values)), self._values.shape[1]), np.float32)
            grown[: self._used] = self._values[: self._used]
            self._values = grown
        self._values[self._used : end] = matrix
        self._used = end
        self.lengths.append(len(matrix))

    def take(self) -> pa.ListArray:
        array = list_array(self._values[: self._used], self.lengths)
        self._used = 0
        self.lengths = []
        return array
