"""The page: one HTML file that asks for nothing outside of itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from conversion.wording import printable
from experiments.report import figures
from experiments.report.scatter import scripts

_TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Picture:
    """A drawing, under its heading; `name` is that of its PNG."""

    name: str
    drawn: Any
    title: str = ""

    @property
    def svg(self) -> str:
        """The drawing for the page. Its parts have names of their own there."""
        return _own_names(figures.svg(self.drawn), self.name)


@dataclass(frozen=True)
class Section:
    """A part of the page: lines of text, pictures, and tables whose first row is the head."""

    title: str
    lines: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)


def render(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    classes: Sequence[str],
    maps: Mapping[str, Any],
    **more: Any,
) -> str:
    """Return the page; `maps` is bokeh's document, empty for a page without maps."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    neighbours = more.pop("neighbours", {})
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=printable(title),
        subtitle=printable(subtitle),
        sections=sections,
        classes=list(classes),
        colours=figures.palette(max(len(classes), 1)),
        item=_json(maps) if maps else "",
        neighbours=_json(neighbours),
        scripts=scripts() if maps else "",
        **more,
    )


def _json(value: Any) -> str:
    """Return JSON that ends no script."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _own_names(text: str, name: str) -> str:
    for before in ('id="', 'href="#', "url(#"):
        text = text.replace(before, f"{before}{name}-")
    return text
