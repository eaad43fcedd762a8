"""Packages for the benchmarks: shards as `avmit convert` writes them, of generated values."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from avmit import EMBEDDING_DIMS, TEST_CLASSES, embedding_features
from conversion.package.schema import arrow_schema
from conversion.package.writer import (
    DEFAULT_MAX_SHARD_BYTES,
    Encoding,
    ShardWriter,
    batch_rows,
    list_array,
    plan_shards,
    shard_name,
)

CONFIG = "yamnet_effnet"  # the wide set: the most bytes a row
STEPS = {"audio": (5, 7), "visual": (6, 8)}
"""Timesteps of generated rows, from and below: those of the published sets."""


def make_package(folder: Path, rows: int) -> Path:
    """Make a package with `rows` rows of the wide set in split `train`; kept if it is there."""
    package = folder / f"{rows}-rows" / "avmit"
    done = package.with_name("done")
    if not done.exists():
        shutil.rmtree(package, ignore_errors=True)
        (package / CONFIG).mkdir(parents=True)
        _write(package / CONFIG, rows)
        done.touch()
    return package


def _write(config: Path, rows: int) -> None:
    dims = EMBEDDING_DIMS[CONFIG]
    schema = arrow_schema(embedding_features(*dims, TEST_CLASSES))
    row_bytes = 4 * sum(
        (steps[1] - 1) * width for steps, width in zip(STEPS.values(), dims, strict=True)
    )
    shards = plan_shards(range(rows), row_bytes, DEFAULT_MAX_SHARD_BYTES)
    generator = np.random.default_rng(0)
    for index, shard in enumerate(shards):
        name = shard_name("train", index, len(shards), Encoding())
        with ShardWriter(config / name, schema, Encoding()) as writer:
            size = batch_rows(row_bytes)
            for start in range(0, len(shard), size):
                writer.write(_batch(schema, shard[start : start + size], generator))


def _batch(schema: pa.Schema, numbers: list[int], generator: np.random.Generator) -> pa.RecordBatch:
    names = [f"{TEST_CLASSES[i % 16]}/yt-{i:011d}_{i % 60}" for i in numbers]
    columns: dict[str, pa.Array] = {
        "filename": pa.array([f"{name}.mp4" for name in names]),
        "label": pa.array([i % 16 for i in numbers], pa.int64()),
        "MIT_label": pa.array([TEST_CLASSES[i % 16] for i in numbers]),
        **{
            r: pa.array([int(r == "r3") * 3 for _ in numbers], pa.int64())
            for r in ("r1", "r2", "r3")
        },
        "video_location": pa.array(["training" for _ in numbers]),
        "tfrecord_filename": pa.array([f"{name}.tfrecord" for name in names]),
    }
    for (name, steps), width in zip(STEPS.items(), EMBEDDING_DIMS[CONFIG], strict=True):
        lengths = generator.integers(*steps, len(numbers))
        values = generator.standard_normal((int(lengths.sum()), width), np.float32)
        columns[name] = list_array(values, lengths.tolist())
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
