"""Configs whose audio is known, some of it that of silence."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa

import avmit
from conversion.package.manifest import Manifest, Shard
from conversion.package.schema import arrow_schema
from support.feeding import write_shard

Matrix = npt.NDArray[np.float32]
SILENCE: Matrix = np.tile(np.array([0.5, -1, 0.25], np.float32), (4, 1))


class Clip(NamedTuple):
    """A video, its audio, and whether it has any, if that is known."""

    name: str
    audio: Matrix
    has_audio: bool | None = None


def sound(number: int, steps: int = 4) -> Matrix:
    """Return audio that no other number has."""
    values = np.arange(steps * 3, dtype=np.float32).reshape(steps, 3)
    return values + np.float32(100 * (number + 1))


def with_silent(silent: Sequence[int], count: int = 20) -> list[Clip]:
    """Return clips of which these are silent."""
    return [
        Clip(f"clap/v_{number}.mp4", SILENCE if number in silent else sound(number))
        for number in range(count)
    ]


def embedded(package: Path, config: str, clips: Sequence[Clip], kind: str = "arrow") -> Path:
    """Write a config of these videos, the last third of them its test split; return the package."""
    width = clips[0].audio.shape[1]
    features = avmit.embedding_features(width, None, ["clap"])
    told = clips[0].has_audio is not None
    if told:
        features["has_audio"] = datasets.Value("bool")
    folder = package / config
    folder.mkdir(parents=True)
    cut = len(clips) - len(clips) // 3
    splits = {}
    for split, part in (("train", clips[:cut]), ("test", clips[cut:])):
        columns: dict[str, Any] = {
            "filename": [clip.name for clip in part],
            "label": [0 for _ in part],
            "MIT_label": ["clap" for _ in part],
            **{name: [1 for _ in part] for name in ("r1", "r2", "r3")},
            "video_location": ["training" for _ in part],
            "tfrecord_filename": [clip.name.replace("mp4", "tfrecord") for clip in part],
            "audio": [clip.audio.tolist() for clip in part],
        }
        if told:
            columns["has_audio"] = [clip.has_audio for clip in part]
        path = folder / f"{split}-00000-of-00001.{'parquet' if kind == 'parquet' else 'arrow'}"
        write_shard(path, pa.table(columns, arrow_schema(features)), kind)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        steps = [len(clip.audio) for clip in part] or [0]
        shard = Shard(path.name, len(part), len(data), digest, digest, {})
        splits[split] = [Shard(**{**vars(shard), "timesteps": {"audio": [min(steps), max(steps)]}})]
    made = {"name": "mine", "weights": "a local file", "weights_sha256": "0" * 64}
    source = {"kind": "extraction", "encoders": {"audio": made}, "libraries": {"numpy": "2"}}
    compression = kind if kind == "zstd" else "none"
    form = "parquet" if kind == "parquet" else "arrow"
    Manifest(config, form, compression, source, splits, {"audio": width}).write(folder)
    return package
