"""The maps on the page: bokeh's scatter plots with hover text, as JSON that the page embeds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.extras import require
from experiments.report.figures import palette
from experiments.report.measures.maps import EXTRA


@dataclass(frozen=True)
class Rows:
    """What the points of some maps are: names, class numbers of `classes` (-1: none), ratings."""

    names: list[str]
    numbers: npt.NDArray[np.int64]
    ratings: npt.NDArray[np.int64] | None


def scripts() -> str:
    """Return bokeh's own scripts, whole, in their tags."""
    resources = require("bokeh.resources", "a report", EXTRA)
    parts = ["bokeh", "bokeh-gl"]
    text: str = resources.Resources(mode="inline", components=parts).render_js()
    return text


def maps(
    rows: Sequence[Rows],
    classes: Sequence[str],
    positions: Sequence[Mapping[str, npt.NDArray[np.int16]]],
) -> dict[str, Any]:
    """Return one document, to be given to `Bokeh.embed.embed_item`, with a plot for each map.

    Args:
        rows: of which the maps are; those of one entry share their names.
        classes: the names that class numbers are of.
        positions: for each of `rows` its maps, by title.
    """
    embed = require("bokeh.embed", "a report", EXTRA)
    layouts = require("bokeh.layouts", "a report", EXTRA)
    models = require("bokeh.models", "a report", EXTRA)
    colours = models.LinearColorMapper(
        palette=palette(max(len(classes), 1)),
        low=-0.5,
        high=max(len(classes), 1) - 0.5,
        low_color="#999999",
    )
    said = models.CustomJSHover(
        args={"classes": list(classes)}, code="return classes[Number(value)] ?? 'no class';"
    )
    plots = []
    for group, (of, its_maps) in enumerate(zip(rows, positions, strict=True)):
        data: dict[str, Any] = {"name": of.names, "class": of.numbers.astype(np.int16)}
        tips = [("clip", "@name"), ("class", "@class{custom}")]
        if of.ratings is not None:
            data |= {f"r{n + 1}": of.ratings[:, n].astype(np.int8) for n in range(3)}
            tips.append(("r1 r2 r3", "@r1 @r2 @r3"))
        for number, positions_of in enumerate(its_maps.values()):
            data |= {f"x{number}": positions_of[:, 0], f"y{number}": positions_of[:, 1]}
        source = models.ColumnDataSource(data, name=f"rows-{group}")
        for number, title in enumerate(its_maps):
            hover = models.HoverTool(
                tooltips=tips, formatters={"@class": said}, point_policy="snap_to_data", limit=3
            )
            plots.append(_plot(source, title, number, colours, hover, len(of.names)))
    if not plots:
        return {}
    item = embed.json_item(layouts.column(plots, sizing_mode="stretch_width"), "maps")
    return _renumbered(item)


def _plot(source: Any, title: str, number: int, colours: Any, hover: Any, count: int) -> Any:
    plotting = require("bokeh.plotting", "a report", EXTRA)
    plot = plotting.figure(
        title=title,
        height=420,
        sizing_mode="stretch_width",
        output_backend="webgl",
        tools=["pan", "wheel_zoom", "box_zoom", "reset", "tap", hover],
        toolbar_location="above",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color="#888888",
        match_aspect=True,
        name=f"map-{title}",
    )
    plot.axis.visible = False
    plot.grid.visible = False
    plot.toolbar.logo = None
    plot.scatter(
        f"x{number}",
        f"y{number}",
        source=source,
        size=float(np.clip(3_000 / max(count, 1) ** 0.75, 3, 8)),
        fill_color={"field": "class", "transform": colours},
        line_color=None,
        fill_alpha=0.65,
        nonselection_fill_alpha=0.05,
        selection_fill_alpha=0.95,
    )
    return plot


def _renumbered(item: Any) -> dict[str, Any]:
    """Number bokeh's models from 1 on, and not from where this process is: the same bytes again."""
    seen: dict[str, str] = {}

    def anew(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: anew(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            texts = all(isinstance(one, str) for one in value)  # names, which are none of bokeh's
            return value if texts else [anew(one) for one in value]
        if isinstance(value, str) and re.fullmatch(r"p\d+", value):
            return seen.setdefault(value, f"p{len(seen) + 1}")
        return value

    found: dict[str, Any] = anew(item)
    return found
