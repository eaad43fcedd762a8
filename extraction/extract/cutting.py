"""What a config that is extracted looks like: its columns, its shards, where it comes from."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import datasets
import pyarrow as pa

from conversion.package.schema import HEARD, arrow_schema, vectors
from conversion.package.writer import plan_shards, shard_name
from extraction.encoders.base import Side
from extraction.encoders.describe import describe, identity
from extraction.encoders.settings import Modality
from extraction.extract.options import Encoders, Options
from extraction.extract.rows import Rows
from extraction.extract.subject import Subject

CLIP_MS = 3000
"""A video of Moments in Time lasts three seconds; how many rows a shard gets follows from it."""


@dataclass(frozen=True)
class Columns:
    """The columns of a config, and the bytes that a row of three seconds takes of embeddings."""

    schema: pa.Schema
    row_bytes: int

    @classmethod
    def of(cls, encoders: Encoders, subject: Subject) -> "Columns":
        """Return the columns for encoders whose widths are known."""
        widths = {str(column): encoder.width for column, encoder in encoders.items()}
        features = datasets.Features({**subject.features, **vectors(widths), **HEARD})
        row_bytes = sum(
            4 * encoder.width * encoder.vectors * (1 + int(CLIP_MS / (encoder.step_ms or math.inf)))
            for encoder in encoders.values()
        )
        return cls(arrow_schema(features), row_bytes)


def cut(rows: Rows, row_bytes: int, options: Options) -> Iterator[tuple[str, str, list[int]]]:
    """Cut the videos into shards: yield the split and name of each, and its videos' places."""
    for split, places in rows.splits.items():
        pieces = plan_shards(places, row_bytes, options.max_shard_bytes)
        for index, piece in enumerate(pieces):
            yield split, shard_name(split, index, len(pieces), options.encoding), piece


def source_of(sides: Mapping[Modality, Side], options: Options, subject: Subject) -> dict[str, Any]:
    """Return the manifest's `source`."""
    wanted = options.encoders.items()
    local = {column: encoder.settings.weights is not None for column, encoder in wanted}
    videos = {"videos": subject.videos} if subject.videos else {}
    return {**describe(sides, local), **videos}


def making_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a source says of how shards are made; of which videos, their own rows say."""
    return {key: value for key, value in identity(source).items() if key != "videos"}
