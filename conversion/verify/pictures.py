"""Check that the card's pictures are there, whole, and of what the package holds."""

from collections.abc import Mapping
from pathlib import Path

from avmit import AvmitError
from conversion.card.readme import NAME as CARD
from conversion.card.readme import read_card
from conversion.package.manifest import Manifest
from conversion.package.manifest_problems import FIGURES
from conversion.package.pictures import ALT, damage, read_pictures
from conversion.verify.check import Check
from conversion.wording import some


def picture_checks(package: Path, manifests: Mapping[str, Manifest]) -> list[Check]:
    """Check the pictures and what the card shows of them; nothing where there are none."""
    try:
        pictures = read_pictures(package)
    except AvmitError as error:
        return [Check("pictures", FIGURES, False, str(error))]
    shown, ours = _shown(package), pictures.files if pictures else {}
    problems = [
        f"{FIGURES}/{name}, which {CARD} shows, is missing"
        for name in shown
        if name not in ours and not (package / FIGURES / name).exists()
    ]
    if pictures is None and not problems:
        return []
    again = f"draw them again with `avmit report {package} --card`"
    found = f"as drawn from {' and '.join(pictures.drawn_from)}" if pictures else ""
    problems += damage(package, pictures) if pictures else []
    if pictures and not pictures.are_of(manifests):
        found = f"drawn from other rows, and not in {CARD}: {again}"
        problems += [f"{CARD} shows {FIGURES}/{name}, of other rows" for name in shown & {*ours}]
    said = f"{some(sorted(problems))}: {again}" if problems else found
    return [Check("pictures", FIGURES, not problems, said)]


def _shown(package: Path) -> set[str]:
    try:
        card = read_card(package / CARD)
    except AvmitError:
        return set()
    return {name for name in ALT if f"]({FIGURES}/{name})" in card}
