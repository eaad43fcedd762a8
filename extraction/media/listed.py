"""Find the files of a list's videos, a million of them, and list each folder once at most."""

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from conversion.release.videos import (
    ALIASES,
    LOCATIONS,
    by_alias,
    check_root,
    is_file,
    plain_name,
)

FEW = 16
"""So many videos of a folder are asked for one by one, since others may be a million."""

_BESIDE = ("", *(f"{name}/" for names in LOCATIONS.values() for name in names))
"""Where a video's path may begin below the root: there, or in the folders of Moments in Time."""

_ENDINGS = tuple(ALIASES.values())


def find_listed(root: Path, filenames: Sequence[str]) -> list[str | None]:
    """Return each video's path below `root`, with slashes, or None where it is not there.

    A path is looked for as it is given, then below training and validation, as people spell them:
    first the exact name in all of these, then the same letters in another Unicode form, the alias
    of a long name, and the long name of an alias.

    Raises:
        AvmitError: `root` is no folder, or no path in UTF-8.
    """
    check_root(root, "the one that the paths of the list begin in")
    by_folder: dict[str, list[int]] = {}
    for place, filename in enumerate(filenames):
        folder, slash, _ = filename.rpartition("/")
        by_folder.setdefault(folder + slash, []).append(place)
    found: list[str | None] = [None] * len(filenames)
    for folder, places in by_folder.items():
        missing = {filenames[place][len(folder) :]: place for place in places}
        near: dict[str, str] = {}
        for beside in _BESIDE:
            if not missing:
                break
            below = _spelled(root, beside + folder)
            if below is None:
                continue
            exact, others = _look(root / below, missing)
            for name in exact:
                place = missing.pop(name)
                # Of the many that are where they say, the list's own text does.
                as_given = below == folder
                found[place] = filenames[place] if as_given else below + name
            for name, other in others.items():
                near.setdefault(name, below + other)
        for name, place in missing.items():
            found[place] = near.get(name)
    return found


def _look(folder: Path, wanted: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """Return which of the files that are wanted are there, and what else others may be called."""
    exact: list[str] = []
    if len(wanted) <= FEW:
        exact = [name for name in wanted if is_file(folder / name)]
        if len(exact) == len(wanted):
            return exact, {}
    missing = set(wanted).difference(exact)
    plain = {plain_name(name): name for name in sorted(missing)}
    near: dict[str, str] = {}
    odd: list[Path] = []
    for name in _files(folder):
        if name in missing:
            exact.append(name)
        elif (meant := plain.get(plain_name(name))) is not None:
            near[meant] = min(name, near.get(meant, name))
        elif _may_be_alias(name):
            odd.append(Path(name))
    for name in missing.difference(exact) if odd else ():
        if name not in near and (other := by_alias(Path(name).stem, odd)) is not None:
            near[name] = other.name
    return exact, near


def _files(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except OSError:
        return


def _may_be_alias(name: str) -> bool:
    stem = os.path.splitext(name)[0]  # noqa: PTH122 - of a million names
    return stem.endswith(_ENDINGS) or stem.upper() in ALIASES


def _spelled(root: Path, folder: str) -> str | None:
    """Return a folder below `root`, with a slash at its end, as it is spelled there; None if it is
    not there.
    """
    try:
        if (root / folder).is_dir():
            return folder
    except OSError:
        return None
    below = ""
    for part in folder.rstrip("/").split("/"):
        if (root / below / part).is_dir():
            below += f"{part}/"
            continue
        if part.isascii() and not any(map(str.isspace, part)):
            return None  # such a name has one form
        alike = [name for name in _folders(root / below) if plain_name(name) == plain_name(part)]
        if not alike:
            return None
        below += f"{min(alike)}/"
    return below


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []
