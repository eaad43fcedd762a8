"""Lists of videos, folders that hold what they name, and packages of them made without decoding."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Features

from conversion.card.readme import write_card
from conversion.package.manifest import BAD_VIDEOS, Manifest, Shard
from conversion.package.schema import HEARD, arrow_schema, vectors
from conversion.package.staging import Staging
from conversion.package.workspace import workspace
from conversion.package.writer import Encoding, ShardWriter, list_array, shard_name
from extraction.lists.video_list import VideoList, read_video_list

ENCODERS = """
import numpy as np
from extraction import Frames, Sound, encoder


@encoder(name="mean", width=3, input=Frames(side=8))
def mean(frames):
    return frames.mean((1, 2))


@encoder(name="loud", width=2, input=Sound(rate=16000, window_s=0.96, hop_s=0.48))
def loud(windows):
    return np.stack([np.abs(windows).mean(-1), windows.max(-1)], -1)
"""
"""A module of two encoders that need no weights, and no framework."""

DIMS = {"audio": 2, "visual": 3}


def write_list(path: Path, columns: Mapping[str, Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def lay_out_files(root: Path, filenames: Sequence[str], clips: Sequence[Path]) -> Path:
    """Put a clip where each of the names says, by a hard link; the clips take turns."""
    for index, filename in enumerate(filenames):
        path = root / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(clips[index % len(clips)], path)
    return root


def make_package(
    out: Path,
    file: Path,
    config: str = "mine",
    encoding: Encoding | None = None,
    bad: Sequence[str] = (),
) -> Manifest:
    """Make a package of a list with embeddings of noise, as `avmit extract` would; `bad` have none.

    Row i of the list has 1 + i % 3 timesteps.
    """
    listed = read_video_list(file)
    encoding = encoding or Encoding()
    with workspace(out) as space:
        staging = Staging(space, config, BAD_VIDEOS)
        splits = {}
        for split, places in listed.splits.items():
            kept = [at for at in places.tolist() if listed.rows[at][0] not in bad]
            name = shard_name(split, 0, 1, encoding)
            batch = batch_of(listed, kept)
            with ShardWriter(staging.shard(name), batch.schema, encoding) as writer:
                writer.write(batch)
            steps = [1 + at % 3 for at in kept]
            timesteps = {column: [min(steps), max(steps)] for column in DIMS}
            shard = Shard(name, len(kept), writer.bytes, writer.sha256, "", timesteps)
            splits[split] = [shard]
        manifest = _manifest(config, listed, splits, encoding, len(bad))
        rows: list[tuple[str, ...]] = [("filename", "reason")]
        rows += [(name, "is missing") for name in bad]
        staging.prepare(manifest, {BAD_VIDEOS: rows if bad else []})
        staging.publish()
    write_card(out)
    return manifest


def batch_of(listed: VideoList, places: Sequence[int]) -> pa.RecordBatch:
    schema = arrow_schema(Features({**listed.columns, **vectors(DIMS), **HEARD}))
    columns = []
    for index, (name, feature) in enumerate(listed.columns.items()):
        values = [listed.rows[at][index] for at in places]
        if name == "label":
            values = [feature.names.index(value) for value in values]
        columns.append(pa.array(values, schema.field(name).type))
    steps = [1 + at % 3 for at in places]
    for width in DIMS.values():
        noise = np.random.default_rng(len(places)).normal(size=(sum(steps), width))
        columns.append(list_array(noise.astype(np.float32), steps))
    columns.append(pa.array([True] * len(places)))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _manifest(
    config: str, listed: VideoList, splits: dict[str, list[Shard]], encoding: Encoding, bad: int
) -> Manifest:
    encoder = {"name": "noise", "weights": "none", "weights_sha256": "0" * 64}
    videos = {"list": listed.file.name, "sha256": listed.sha256, "count": len(listed.rows)}
    return Manifest(
        config=config,
        format=encoding.format,
        compression=encoding.compression,
        source={
            "kind": "extraction",
            "encoders": dict.fromkeys(DIMS, encoder),
            "libraries": {},
            "videos": videos,
        },
        splits=splits,
        dims=DIMS,
        bad_records=bad,
    )
