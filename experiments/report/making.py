"""`avmit report`: the page and its pictures, from a package."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import avmit
from avmit import AvmitError
from conversion.package.manifest import read_package
from conversion.whole import write_whole
from conversion.wording import printable
from experiments.extras import require
from experiments.report import figures, sections
from experiments.report.measures.counts import Videos, read_videos
from experiments.report.measures.embeddings import Embedded, Progress, read_embedded
from experiments.report.measures.maps import EXTRA, Kind, on_grid, position
from experiments.report.measures.nearest import NONE, neighbours
from experiments.report.page import Picture, Section, render
from experiments.report.scatter import Rows, maps

PAGE = "report.html"
_MARK = b"<!doctype html>\n<!-- made by avmit -->\n"
_NEAR = 5
_MOST_CLIPS = 960
"""Clips whose neighbours are on the page: as many as the test set has."""


def make_report(
    package: Path, out: Path, kind: Kind = "pca", progress: Progress = lambda done, total: None
) -> list[Path]:
    """Write `out`/report.html and its pictures as PNG files; return their paths, the page first.

    The same package gives the same bytes. A report that is there is written over, and nothing else.

    Raises:
        AvmitError: there is no package, `out` has something else under a name of the report's, or
            what draws is not installed.
    """
    for module in ("matplotlib", "bokeh", "sklearn"):
        require(module, "a report", EXTRA)
    _check_place(out)
    manifests = read_package(package)
    videos = read_videos(package, manifests)
    configs = [read_embedded(package, m, progress) for m in manifests.values() if m.dims]
    found = [
        sections.contents(videos, manifests),
        *sections.ratings(videos),
        *sections.labels(videos),
        sections.source_sites(videos),
    ]
    if configs:
        found += [sections.embeddings(configs), *sections.separation(configs)]
        found += sections.side_by_side(configs)
    classes, groups = _groups(videos, configs, kind)
    more = [picture for group in groups for picture in group.pictures(classes)]
    text = _page(package, found, classes, groups, kind)
    out.mkdir(parents=True, exist_ok=True)
    written = [out / PAGE]
    for picture in [*(picture for section in found for picture in section.pictures), *more]:
        written.append(out / f"{picture.name}.png")
        write_whole(written[-1], figures.png(picture.drawn), durable=False)
    write_whole(out / PAGE, _MARK + text.removeprefix("<!doctype html>\n").encode("utf-8"))
    return written


class Group:
    """The maps of configs that have the same rows."""

    def __init__(self, first: Embedded, videos: Videos, classes: Sequence[str]):
        self.ids = first.features.ids
        number = {name: at for at, name in enumerate(classes)}
        numbers = np.array([number.get(label, -1) for label in first.labels], np.int64)
        at = {name: row for row, name in enumerate(videos.filenames)}
        rows = np.array([at.get(name, -1) for name in self.ids], np.int64)
        known = videos.ratings is not None and bool((rows >= 0).all())
        ratings = videos.ratings[rows] if videos.ratings is not None and known else None
        self.rows = Rows(self.ids, numbers, ratings)
        test = np.flatnonzero([split == "test" for split in first.splits])
        chosen = test if len(test) else np.arange(len(self.ids))
        places = np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_CLIPS)).round()
        self.clips = chosen[places.astype(np.int64)]
        self.positions: dict[str, npt.NDArray[np.int16]] = {}
        self.near: dict[str, list[list[int]]] = {}

    def add(self, config: Embedded, kind: Kind) -> None:
        """Take in a config's maps."""
        for name, matrix in config.features.matrices.items():
            title = f"{config.config} {name}"
            self.positions[title] = on_grid(position(matrix, kind))
            near = neighbours(matrix, self.clips, _NEAR)[0]
            self.near[title] = [[row for row in of if row != NONE] for of in near.tolist()]

    def pictures(self, classes: Sequence[str]) -> Iterator[Picture]:
        """Yield the maps as pictures."""
        for title, positions in self.positions.items():
            drawn = figures.scattered(positions, self.rows.numbers, classes)
            yield Picture(f"map_{title.replace(' ', '_')}", drawn, title)


def _groups(
    videos: Videos, configs: Sequence[Embedded], kind: Kind
) -> tuple[list[str], list[Group]]:
    classes = sorted({label for config in configs for label in config.labels} - {""})
    groups: list[Group] = []
    for config in configs:
        ids = config.features.ids
        group = next((group for group in groups if group.ids == ids), None)
        if group is None:
            group = Group(config, videos, classes)
            groups.append(group)
        group.add(config, kind)
    return classes, groups


def _page(
    package: Path,
    found: Sequence[Section],
    classes: Sequence[str],
    groups: Sequence[Group],
    kind: Kind,
) -> str:
    item: Any = maps(
        [group.rows for group in groups], classes, [group.positions for group in groups]
    )
    what = "UMAP" if kind == "umap" else "the first two principal components"
    clips = sum(len(group.clips) for group in groups[:1])
    return render(
        f"What is in {package.resolve().name}",
        f"made by avmit {avmit.__version__}",
        found,
        classes,
        item,
        maps_said=f"Each point is a clip, at {what} of its mean embedding. Point at one for its "
        "name; drag and scroll to move.",
        neighbours_said=f"The {_NEAR} nearest by the cosine, among all rows, of {clips:,} clips "
        "(of the test set where there is one). Choose one, or click its point.",
        neighbours={
            "groups": [{"rows": group.clips.tolist(), "maps": group.near} for group in groups]
        },
    )


def _check_place(out: Path) -> None:
    said = printable(str(out))
    if out.exists() and not out.is_dir():
        raise AvmitError(f"{said} is a file: choose another --out")
    page = out / PAGE
    if page.exists():
        with page.open("rb") as file:
            ours = file.read(len(_MARK)) == _MARK
    else:
        ours = not out.exists() or all(path.name.startswith(".") for path in out.iterdir())
    if not ours:
        raise AvmitError(f"{said} has files and no report of avmit's: choose another --out")
