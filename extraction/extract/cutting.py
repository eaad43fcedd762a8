"""What a config that is extracted looks like: its columns, its shards, where it comes from."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import datasets
import pyarrow as pa

import avmit
from conversion.package.schema import arrow_schema
from conversion.package.writer import plan_shards, shard_name
from conversion.release.annotations import Annotations, Video
from extraction.encoders.base import Side
from extraction.encoders.describe import describe
from extraction.encoders.settings import Modality
from extraction.extract.options import Encoders, Options

CLIP_MS = 3000
"""A video of Moments in Time lasts three seconds; how many rows a shard gets follows from it."""


@dataclass(frozen=True)
class Columns:
    """The columns of a config, and the bytes that a row of three seconds takes of embeddings."""

    schema: pa.Schema
    row_bytes: int

    @classmethod
    def of(cls, encoders: Encoders, labels: list[str]) -> "Columns":
        """Return the columns for encoders whose widths are known."""
        widths = {column: encoder.width for column, encoder in encoders.items()}
        features = avmit.embedding_features(widths.get("audio"), widths.get("visual"), labels)
        features = datasets.Features({**features, "has_audio": datasets.Value("bool")})
        row_bytes = sum(
            4 * encoder.width * encoder.vectors * (1 + int(CLIP_MS / (encoder.step_ms or math.inf)))
            for encoder in encoders.values()
        )
        return cls(arrow_schema(features), row_bytes)


def cut(
    rows: Annotations, row_bytes: int, options: Options
) -> Iterator[tuple[str, str, list[Video]]]:
    """Cut the rated videos into shards: yield the split, name and videos of each."""
    for split in avmit.SPLITS:
        videos = rows.split(split)
        if not videos:
            continue
        pieces = plan_shards(videos, row_bytes, options.max_shard_bytes)
        for index, piece in enumerate(pieces):
            yield split, shard_name(split, index, len(pieces), options.encoding), piece


def source_of(sides: Mapping[Modality, Side], options: Options) -> dict[str, Any]:
    """Return the manifest's `source`."""
    wanted = options.encoders.items()
    return describe(
        sides, {column: encoder.settings.weights is not None for column, encoder in wanted}
    )
