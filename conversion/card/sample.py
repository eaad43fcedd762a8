"""A row of each config in the card: the first one, as a table of its columns in Markdown."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Features

from avmit import AvmitError
from conversion.card.head import split_card
from conversion.card.merge import marked_parts
from conversion.card.provenance import cell, code
from conversion.package.manifest import Manifest
from conversion.package.reader import read_batches

PART = "columns"
"""The part of the card that has the rows."""

_LONGEST = 100  # characters of a value
_VALUES = 3  # of the first timestep
_BLOCK = re.compile(r"^### A row of `(?P<config>[^`\n]+)`\n\n(?P<table>(?:\|[^\n]*\n)+)", re.M)


def sample_row(folder: Path, manifest: Manifest, features: Features) -> str:
    """Return the first row of a config, whose shards lie in `folder`, as a table.

    It is of the first split that has rows. Embeddings are shown as their shape, (timesteps, width),
    and the first values. There is none of a config without rows, or of a shard that is damaged.
    """
    found = next(((s, n) for n, shards in manifest.splits.items() for s in shards if s.rows), None)
    if found is None:
        return ""
    shard, split = found
    try:
        row = next((b for b in read_batches(folder / shard.file) if b.num_rows), None)
    except AvmitError:
        return ""  # `avmit verify` says so
    if row is None:
        return ""
    lines = [f"| column | first row of {code(split)} |", "| --- | --- |"]
    for name, column in zip(row.schema.names, row.columns, strict=True):
        lines.append(f"| {cell(code(name))} | {_value(column, features.get(name))} |")
    return "\n".join(lines)


def samples_text(samples: Mapping[str, str]) -> str:
    """Return the rows by config as a card has them; those that are empty are left out."""
    blocks = [f"### A row of `{name}`\n\n{table}" for name, table in samples.items() if table]
    return "\n\n".join(blocks)


def samples_in(card: str, name: str) -> dict[str, str]:
    """Return the rows that a card has, by config; `name` is what errors call the card.

    Raises:
        AvmitError: its marks cannot be made out.
    """
    _, body = split_card(card.replace("\r\n", "\n"))
    part = marked_parts(body, name).get(PART, "")
    return {match["config"]: match["table"].rstrip("\n") for match in _BLOCK.finditer(part)}


def _value(column: Any, feature: Any) -> str:
    """Return the first value of a column for a cell."""
    try:
        first = column[0]
        if isinstance(column, pa.ListArray):
            return _matrix(first)
        value = first.as_py()
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    except (pa.ArrowException, ValueError, OverflowError, NotImplementedError):  # Arrow has none
        return "…"
    shown = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    names = getattr(feature, "names", None)
    if names and isinstance(value, int) and 0 <= value < len(names):
        return f"{cell(code(shown))} ({cell(code(names[value]))})"
    return cell(code(shown)) if value is not None and shown.strip() else "–"


def _matrix(value: Any) -> str:
    """Return an embedding's shape and first values, such as `(3, 128): 0.5, 0, -1, …`."""
    rows = value.values
    if rows is None:
        return "–"
    width = getattr(rows.type, "list_size", None)
    if width is None:
        return f"{len(rows)} values"
    numbers = rows[0].values[:_VALUES].to_pylist() if len(rows) and rows[0].is_valid else []
    shown = [f"{number:.4g}" if isinstance(number, float) else str(number) for number in numbers]
    more = ["…"] if len(rows) * width > len(shown) else []
    return cell(code(f"({len(rows)}, {width}): {', '.join([*shown, *more])}"))
