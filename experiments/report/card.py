"""`avmit report --card`: pictures in the package, and the card that shows them."""

from dataclasses import dataclass
from pathlib import Path

from avmit import AvmitError
from conversion.card.readme import card_text, put_card
from conversion.package.manifest import read_package
from conversion.package.pictures import (
    ALT,
    check_pictures_replaceable,
    listed,
    publish_pictures,
    sources,
)
from conversion.package.workspace import workspace
from experiments.extras import require
from experiments.report import figures, sections
from experiments.report.measures.counts import Videos, read_videos
from experiments.report.measures.maps import EXTRA


@dataclass(frozen=True)
class Drawn:
    """The pictures of a card, whether anything changed, and why others are not drawn."""

    names: list[str]
    changed: bool
    lacking: dict[str, str]


def draw_for_card(package: Path) -> Drawn:
    """Draw the card's pictures into the package's `figures`, and write the card that shows them.

    The same rows give the same bytes. Those take the place of earlier ones in one step.

    Raises:
        AvmitError: there is no package or nothing to draw, its card cannot be made out, `figures`
            has a file that avmit did not make, or what draws is not installed.
    """
    require("matplotlib", "a report", EXTRA)
    read_package(package)
    with workspace(package, remedy="make it writable, or copy the package") as space:
        check_pictures_replaceable(package)
        manifests = read_package(package)
        of = sources(manifests)
        if not of:
            raise AvmitError(
                f"{package} has single ratings alone, and pictures are of videos: "
                "convert the ratings too"
            )
        videos = read_videos(package, manifests)
        lacking = _lacking(videos)
        found = [
            sections.contents(videos, manifests),
            *sections.ratings(videos),
            *sections.labels(videos),
        ]
        drawn = {f"{p.name}.png": p.drawn for section in found for p in section.pictures}
        names = [name for name in ALT if name in drawn and name not in lacking]
        if not names:
            raise AvmitError(f"{package}: no pictures can be drawn of videos without labels")
        data = {name: figures.png(drawn[name]) for name in names}
        text = card_text(package, pictures=names)  # what is wrong with it is known before
        changed = publish_pictures(space, data, listed(data, of))
        return Drawn(names, put_card(package, text) or changed, lacking)


def _lacking(videos: Videos) -> dict[str, str]:
    """Say what the rows lack for pictures, by their names."""
    found = {}
    if videos.labels is None:
        found["classes.png"] = "the rows have no labels"
    if videos.ratings is None:
        found["agreement.png"] = "the rows have no r1, r2 and r3"
    if videos.mit_labels is None or videos.labels is None:
        found["flows.png"] = "the rows have no MIT_label"
    return found
