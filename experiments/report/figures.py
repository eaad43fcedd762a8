"""The pictures, drawn by matplotlib: as PNG files, and as SVG that takes on the page's colours."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.extras import require
from experiments.report.measures.agreement import Agreement
from experiments.report.measures.centroids import Confusion
from experiments.report.measures.maps import EXTRA

_WIDTH = 4.8
_LEAST = 1.3
"""Pixels a point that wide pictures have on the page at least: a phone scrolls them."""
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "avmit",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}
SERIES = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#72b7b2"]
"""Of Vega's category10: legible on white and on near black."""


def palette(count: int) -> list[str]:
    """Return so many colours, as far apart as may be."""
    matplotlib = require("matplotlib", "a report", EXTRA)
    if count <= 20:
        # Strong ones first, their pale companions after them.
        order = [*range(0, 20, 2), *range(1, 20, 2)]
        colours = [matplotlib.colormaps["tab20"](one) for one in order[:count]]
    else:
        colours = [matplotlib.colormaps["turbo"](x) for x in np.linspace(0.03, 0.97, count)]
    return [matplotlib.colors.to_hex(colour) for colour in colours]


def figure(height: float, width: float = _WIDTH) -> tuple[Any, Any]:
    """Return an empty picture and its axes; sizes in inches."""
    matplotlib = require("matplotlib", "a report", EXTRA)
    figures = require("matplotlib.figure", "a report", EXTRA)
    with matplotlib.rc_context(_STYLE):
        made = figures.Figure(figsize=(width, height), layout="constrained")
        return made, made.add_subplot()


def png(made: Any) -> bytes:
    """Return a picture's PNG, the same bytes for the same picture."""
    file = io.BytesIO()
    with require("matplotlib", "a report", EXTRA).rc_context(_STYLE):
        made.savefig(file, format="png", dpi=150, metadata={"Software": None})
    return file.getvalue()


def svg(made: Any) -> str:
    """Return a picture's SVG without a background, black as the colour of the text around it."""
    file = io.StringIO()
    with require("matplotlib", "a report", EXTRA).rc_context(_STYLE):
        made.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<svg [^>]*viewBox=\"([^\"]*)\"[^>]*>", _head, text, count=1)
    text = text.replace("#000000", "currentColor")
    # Text without a colour of its own is black.
    return text.replace("<text ", '<text fill="currentColor" ')


def _head(match: re.Match[str]) -> str:
    width = float(match[1].split()[2])
    least = f' style="min-width: {_LEAST * width:.0f}px"' if width > 72 * _WIDTH + 1 else ""
    return (
        f'<svg{least} viewBox="{match[1]}" xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" role="img">'
    )


def stacked(counts: Mapping[str, Mapping[str, float]], label: str) -> Any:
    """Draw a bar for each row, in parts; the same parts for all of them."""
    made, axes = figure(0.9 + 0.22 * len(counts))
    names = list(counts)
    left = np.zeros(len(names))
    for number, part in enumerate(next(iter(counts.values()))):
        values = np.array([row[part] for row in counts.values()], float)
        axes.barh(names, values, left=left, label=part, color=SERIES[number % len(SERIES)])
        left += values
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.margins(y=0.01)
    made.legend(loc="outside upper center", ncols=4, frameon=False)
    return made


def bars(counts: Mapping[str, float], label: str) -> Any:
    """Draw a bar for each row, with its number."""
    made, axes = figure(0.7 + 0.28 * len(counts))
    drawn = axes.barh(list(counts), list(counts.values()), color=SERIES[0])
    axes.bar_label(drawn, [f"{value:,.0f}" for value in counts.values()], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(label)
    return made


def kappas(found: Mapping[str, Agreement]) -> Any:
    """Draw each class's kappa with its interval."""
    made, axes = figure(0.7 + 0.22 * len(found))
    values = np.array([[one.kappa, one.low, one.high] for one in found.values()])
    rows = np.arange(len(found))
    axes.hlines(rows, values[:, 1], values[:, 2], color=SERIES[0], linewidth=2)
    axes.plot(values[:, 0], rows, "o", color=SERIES[0])
    axes.set_yticks(rows, list(found))
    axes.invert_yaxis()
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.set_xlabel("Fleiss' kappa, 95% interval")
    return made


def histograms(values: Mapping[str, npt.NDArray[Any]], label: str, whole: bool) -> Any:
    """Draw the distribution of each, side by side where they are whole numbers."""
    made, axes = figure(3.0)
    if whole:
        low = min(int(one.min()) for one in values.values())
        high = max(int(one.max()) for one in values.values())
        steps = np.arange(low, high + 1)
        width = 0.8 / len(values)
        for number, (name, one) in enumerate(values.items()):
            counts = np.bincount(one.astype(int) - low, minlength=len(steps))
            at = steps + (number - (len(values) - 1) / 2) * width
            axes.bar(at, counts, width, label=name, color=SERIES[number % len(SERIES)])
        axes.set_xticks(steps if len(steps) <= 20 else steps[:: len(steps) // 10])
    else:
        for number, (name, one) in enumerate(values.items()):
            counts, edges = np.histogram(one[np.isfinite(one)], 60)
            colour = SERIES[number % len(SERIES)]
            axes.stairs(counts, edges, label=name, color=colour, linewidth=1.5)
    axes.set_xlabel(label)
    axes.set_ylabel("videos")
    made.legend(loc="outside upper center", ncols=2, frameon=False)
    return made


def confused(found: Confusion) -> Any:
    """Draw a confusion matrix, in shares of each class."""
    count = len(found.classes)
    side = 1.6 + max(2.4, min(0.24 * count, 6.5))
    made, axes = figure(side, side + 0.7)
    totals = np.maximum(found.counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(found.counts / totals, cmap="viridis", vmin=0, vmax=1)
    size = 8 if count <= 20 else 6
    axes.set_xticks(range(count), found.classes, rotation=90, fontsize=size)
    axes.set_yticks(range(count), found.classes, fontsize=size)
    axes.set_xlabel("nearest mean")
    axes.set_ylabel("class")
    bar = made.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the class's rows")
    return made


def scattered(
    positions: npt.NDArray[Any], numbers: npt.NDArray[np.int64], classes: Sequence[str]
) -> Any:
    """Draw a map with a legend."""
    made, axes = figure(4.6, 6.6)
    colours = [*palette(len(classes)), "#999999"]
    points = require("matplotlib.colors", "a report", EXTRA).to_rgba_array(colours)[numbers]
    size = float(np.clip(20_000 / max(len(positions), 1), 1, 25))
    axes.scatter(*positions.T, s=size, c=points, linewidths=0, alpha=0.7)
    for colour, name in zip(colours, classes, strict=False):
        axes.plot([], [], "o", color=colour, label=name, markersize=4)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", "datalim")
    if len(classes) <= 60:
        columns = 1 if len(classes) <= 25 else 2
        made.legend(loc="outside right center", ncols=columns, frameon=False, fontsize=8)
    return made
