"""What a comparison looks like: the table of similarities, and all of it as JSON."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table

from conversion.terminal import cell
from extraction.compare.comparison import Comparison
from extraction.compare.resampling import Estimate
from extraction.compare.similarity import Similarity


def similarities(found: Mapping[str, Similarity], config_a: str, config_b: str) -> Table:
    """Return a table of similarities by column."""
    table = Table(box=box.SIMPLE_HEAD, title="similarity", title_justify="left")
    table.add_column("")
    for column in found:
        table.add_column(column, justify="right")
    rows: list[tuple[str, Callable[[Similarity], str]]] = [
        ("widths", lambda one: f"{one.widths[0]}, {one.widths[1]}"),
        ("videos", lambda one: f"{one.videos:,}"),
        ("linear CKA, debiased", lambda one: _said(one.cka)),
        ("linear CKA, biased", lambda one: _said(one.cka_biased)),
        ("RSA, Spearman", lambda one: _said(one.rsa)),
        ("nearest neighbours shared", lambda one: _said(one.overlap)),
        ("  by chance", lambda one: _said(Estimate(one.overlap_by_chance))),
        (f"nearest centroid, {config_a}", lambda one: _said(one.accuracy_a)),
        (f"nearest centroid, {config_b}", lambda one: _said(one.accuracy_b)),
        ("  difference", lambda one: _said(one.accuracy_difference)),
    ]
    for name, text in rows:
        table.add_row(cell(name), *(text(one) for one in found.values()))
    return table


def sampled(found: Mapping[str, Similarity]) -> list[str]:
    """Say of which videos the similarities are, where not of all."""
    lines = []
    for column, one in found.items():
        if one.left_out:
            lines.append(
                f"{column}: {one.left_out:,} videos are left out, without timesteps or not finite"
            )
        if one.rsa_videos < one.videos:
            lines.append(
                f"{column}: RSA is of {one.rsa_videos:,} of {one.videos:,} videos, "
                f"neighbours of {one.queries:,} among all"
            )
        if one.scored < one.videos:
            lines.append(
                f"{column}: nearest centroids are of {one.scored:,} videos, whose class has another"
            )
    return lines


def document(found: Comparison, config_a: str, config_b: str) -> dict[str, Any]:
    """Return a comparison as JSON has it: null for what is not known or not finite."""
    means = ("mean_absolute", "mean_relative", "mean_cosine")
    differences = {
        column: {
            **{name: value for name, value in asdict(one).items() if not name.startswith("sum_")},
            **{name: getattr(one, name) for name in means},
        }
        for column, one in found.columns.items()
    }
    written: dict[str, Any] = _finite(
        {
            "a": config_a,
            "b": config_b,
            "only_a": found.only_a,
            "only_b": found.only_b,
            "skipped": found.skipped,
            "differences": differences,
            "similarities": {column: asdict(one) for column, one in found.similarities.items()},
            "worst": [asdict(one) for one in found.worst],
        }
    )
    return written


def _said(one: Estimate) -> str:
    if one.value is None:
        return "-"
    if one.low is None or one.high is None:
        return f"{one.value:z.3f}"
    return f"{one.value:z.3f} [{one.low:z.3f}, {one.high:z.3f}]"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
