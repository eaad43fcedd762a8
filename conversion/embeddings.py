"""Turn records into the shards of an embedding config: the part that runs in worker processes."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conversion.annotations import Video
from conversion.manifest import Shard
from conversion.shards import Encoding, ShardWriter
from conversion.sources import Reader
from conversion.tfrecord import BadRecord, Record, read_record

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


@dataclass
class ShardResult:
    """What became of a task: the shard, or None where bad records stopped it.

    `bad` has (tfrecord_filename, reason).
    """

    shard: Shard | None
    bad: list[tuple[str, str]] = field(default_factory=list)


def write_shard(task: ShardTask, advance: Callable[[int], None] = lambda rows: None) -> ShardResult:
    """Read a task's records and write its shard, holding one record batch in memory.

    `advance` is told of each batch's records; what it raises stops the work with nothing written.
    """
    result = ShardResult(None)
    source = SourceDigest(task)
    videos = iter(task.videos)
    steps: dict[str, list[int]] = {"audio": [], "visual": []}
    with ShardWriter(task.path, task.schema, task.encoding) as writer:
        while chunk := list(islice(videos, task.batch_rows)):
            good = list(_read(chunk, task, source, result.bad))
            if good and not (result.bad and task.on_bad_record == "error"):
                writer.write(_batch(good, task))
                for name in steps:
                    steps[name] += [len(getattr(record, name)) for _, record in good]
            advance(len(chunk))
            if task.on_bad_record == "error" and len(result.bad) >= MOST_LISTED:
                break
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
            "videos": [asdict(video) for video in task.videos],
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
        except OSError:
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


def _read(
    videos: list[Video], task: ShardTask, source: SourceDigest, bad: list[tuple[str, str]]
) -> Iterator[tuple[Video, Record]]:
    for video in videos:
        data = b""
        try:
            try:
                data = task.reader.read(video.tfrecord_filename)
            except OSError as error:
                raise BadRecord(f"cannot be read ({error.strerror})") from error
            finally:
                source.add(data)
            record = read_record(data)
            check_record(record, video, task.dims)
        except BadRecord as error:
            bad.append((video.tfrecord_filename, str(error)))
        else:
            yield video, record


def _batch(rows: Sequence[tuple[Video, Record]], task: ShardTask) -> pa.RecordBatch:
    label_index = {label: index for index, label in enumerate(task.labels)}
    videos = [video for video, _ in rows]
    columns: list[pa.Array] = []
    for column in task.schema:
        match column.name:
            case "label":
                columns.append(pa.array([label_index[v.AVMIT_label] for v in videos], column.type))
            case "audio":
                columns.append(list_array([record.audio for _, record in rows]))
            case "visual":
                columns.append(list_array([record.visual for _, record in rows]))
            case name:
                columns.append(pa.array([getattr(v, name) for v in videos], column.type))
    return pa.RecordBatch.from_arrays(columns, schema=task.schema)


def list_array(matrices: list[npt.NDArray[np.float32]]) -> pa.ListArray:
    """Put matrices of shapes (T, D) into a list<fixed_size_list<float>[D]>, bit for bit."""
    values = np.concatenate(matrices)
    offsets = np.zeros(len(matrices) + 1, np.int32)
    np.cumsum([len(matrix) for matrix in matrices], out=offsets[1:])
    rows = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    return pa.ListArray.from_arrays(pa.array(offsets), rows)
