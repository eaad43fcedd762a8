"""Small packages of rows that are told apart by their values, and batches made of them by loops."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

import avmit
from conversion.package.schema import arrow_schema

WIDTHS = {"audio": 3, "visual": 2}
LABELS = ("clap", "dive", "drum", "yawn")
CONFIG = "tiny"
KINDS = ("arrow", "zstd", "parquet")
"""How shards of a package are written; rows of the first kind are mapped where they lie."""

Row = dict[str, Any]
Lengths = Sequence[tuple[int, int]]
"""Timesteps of audio and of visual, for each row."""

lengths = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=14)
SOME: Lengths = [(n % 4, (5 * n) % 6) for n in range(23)]
"""Lengths of more rows than a batch or two: some of no timesteps, none of them of both."""


def made_rows(lengths: Lengths) -> list[Row]:
    """Return rows of these lengths, in which no number stands twice."""
    rows = []
    for number, steps in enumerate(lengths):
        row: Row = {"filename": f"video-{number}.mp4", "label": (3 * number) % 4, "r3": number}
        for part, name in enumerate(WIDTHS):
            count = steps[part] * WIDTHS[name]
            values = np.arange(count, dtype=np.float32) + np.float32(1000 * number + 500 * part + 1)
            row[name] = values.reshape(steps[part], WIDTHS[name])
        rows.append(row)
    return rows


def made_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table of the schema of embedding configs."""
    schema = arrow_schema(avmit.embedding_features(WIDTHS["audio"], WIDTHS["visual"], LABELS))
    columns = {
        "filename": [row["filename"] for row in rows],
        "label": [row["label"] for row in rows],
        "MIT_label": [LABELS[row["label"]] for row in rows],
        "r1": [0 for _ in rows],
        "r2": [1 for _ in rows],
        "r3": [row["r3"] for row in rows],
        "video_location": ["training" for _ in rows],
        "tfrecord_filename": [f"{row['filename']}.tfrecord" for row in rows],
        **{name: [row[name].tolist() for row in rows] for name in WIDTHS},
    }
    return pa.table(columns, schema)


def in_memory(lengths: Lengths) -> Any:
    """Return a dataset in memory."""
    return datasets.Dataset(made_table(made_rows(lengths)))


def write_package(
    package: Path, lengths: Lengths, kind: str = "arrow", shards: int = 2, batch_rows: int = 3
) -> Path:
    """Write a package with a config CONFIG of split train; return its folder."""
    table = made_table(made_rows(lengths))
    (package / CONFIG).mkdir(parents=True)
    ends = [len(table) * index // shards for index in range(shards + 1)]
    for index in range(shards):
        part = table.slice(ends[index], ends[index + 1] - ends[index])
        name = f"train-{index:05d}-of-{shards:05d}.{'parquet' if kind == 'parquet' else 'arrow'}"
        write_shard(package / CONFIG / name, part, kind, batch_rows)
    return package


def write_shard(path: Path, table: pa.Table, kind: str = "arrow", batch_rows: int = 3) -> None:
    """Write a table as a shard, with record batches or row groups of a few rows."""
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=batch_rows)
        return
    options = pa.ipc.IpcWriteOptions(compression=None if kind == "arrow" else kind)
    with pa.OSFile(str(path), "wb") as sink:
        writer = pa.ipc.new_stream(sink, table.schema, options=options)
        writer.write_table(table, max_chunksize=batch_rows)
        writer.close()


def padded(rows: Sequence[Row], name: str, timesteps: int | None = None) -> Any:
    """Put arrays into one by loops, zero after each one's end, and cut off what is longer."""
    longest = max(len(row[name]) for row in rows)
    steps = longest if timesteps is None else timesteps
    out = np.zeros((len(rows), steps, WIDTHS[name]), np.float32)
    for index, row in enumerate(rows):
        for step in range(min(steps, len(row[name]))):
            out[index, step] = row[name][step]
    return out


def assert_padded(
    batch: Mapping[str, Any], rows: Sequence[Row], timesteps: int | None = None
) -> None:
    """Compare a padded batch, of any framework's tensors, with its rows."""
    assert list(batch) == [
        *("audio", "audio_lengths", "audio_mask", "visual", "visual_lengths", "visual_mask"),
        *("label", "filename"),
    ]
    for name in WIDTHS:
        wanted = padded(rows, name, timesteps)
        assert_array(batch[name], wanted)
        counts = [min(len(row[name]), wanted.shape[1]) for row in rows]
        assert np.asarray(batch[f"{name}_lengths"]).tolist() == counts
        mask = [[step < count for step in range(wanted.shape[1])] for count in counts]
        assert np.asarray(batch[f"{name}_mask"]).dtype == bool
        assert np.asarray(batch[f"{name}_mask"]).tolist() == mask
    assert_columns(batch, rows)


def assert_jagged(batch: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Compare a jagged batch of values and offsets with its rows."""
    assert list(batch) == [
        *("audio_values", "audio_offsets", "visual_values", "visual_offsets"),
        *("label", "filename"),
    ]
    for name, width in WIDTHS.items():
        values, offsets = np.asarray(batch[f"{name}_values"]), batch[f"{name}_offsets"]
        assert_array(values, np.concatenate([np.zeros((0, width)), *(r[name] for r in rows)]))
        ends = [sum(len(row[name]) for row in rows[:count]) for count in range(len(rows) + 1)]
        assert np.asarray(offsets).tolist() == ends
    assert_columns(batch, rows)


def assert_columns(batch: Mapping[str, Any], rows: Sequence[Row]) -> None:
    assert np.asarray(batch["label"]).tolist() == [row["label"] for row in rows]
    assert batch["filename"] == [row["filename"] for row in rows]


def assert_array(actual: Any, expected: Any) -> None:
    array = np.asarray(actual)
    assert array.dtype == np.float32
    assert array.shape == expected.shape
    assert np.array_equal(array, expected)


def in_batches(
    rows: Sequence[Row],
    batch_size: int,
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
) -> list[list[Row]]:
    """Deal the batches of an epoch out to ranks, one after the other, and return a rank's."""
    groups = [list(rows[n : n + batch_size]) for n in range(0, len(rows), batch_size)]
    if drop_last:
        groups = [group for group in groups if len(group) == batch_size]
        groups = groups[: len(groups) // world_size * world_size]
    return groups[rank::world_size]


def videos(batches: Any) -> list[list[str]]:
    """Return the file names in each batch."""
    return [list(batch["filename"]) for batch in batches]


def collate(rows: Sequence[Row]) -> dict[str, Any]:
    """Put rows together as users do for a DataLoader of their own."""
    import torch

    audio = [torch.tensor(row["audio"]) for row in rows]
    return {
        "audio": torch.nn.utils.rnn.pad_sequence(audio, batch_first=True),
        "label": torch.tensor([row["label"] for row in rows]),
        "filename": [row["filename"] for row in rows],
    }


def apart(script: str, *arguments: object, **environment: str) -> Any:
    """Run a script in a process of its own, and return what it printed as JSON."""
    ran = run_apart(script, *arguments, **environment)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def run_apart(
    script: str, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, which may fail."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=Path(avmit.__file__).parent,
    )


def trained(script: str, *arguments: object, kill_after: int | None = None) -> list[str]:
    """Run a script that prints a line a batch and `done` when its state is kept; return the lines.

    After `done` it reads a line before it goes on. Or else, after so many batches, it is killed.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(avmit.__file__).parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    taken: list[str] = []
    with process.stdin as go_on, process.stdout as lines:
        for line in lines:
            if line != "done\n":
                taken.append(line)
            elif len(taken) == kill_after:
                process.send_signal(signal.SIGKILL)
                break
            else:
                go_on.write("\n")
                go_on.flush()
    assert process.wait() == (0 if kill_after is None else -signal.SIGKILL)
    return taken
