"""Find the file of a video in a copy of Moments in Time, whatever it is called there."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from avmit import AvmitError
from conversion.whole import READ_AT_ONCE

LOCATIONS = {
    "training": ("training", "train"),
    "validation": ("validation", "val", "valid"),
}
"""How the folders of `video_location` are spelt in people's copies."""

ALIASES = {
    "VB-SCO~1": "tndrgkp_9",
    "VB-PAR~2": "q5oehry_6",
    "VB-DES~2": "houses-le4fxmt_1",
    "VB-DES~1": "hogh80q_9",
    "VB-DES~4": "urqbdpd_1",
    "VB-DES~3": "d8mzfe-_2",
    "VB-NEI~3": "508t0k5_3",
    "VB-NEI~2": "xwlh4nw_4",
}
"""The published extractor ran on Windows and met eight long names as MS-DOS aliases, which its
records then kept: alias to the ending of the long name, neither with `.mp4`."""

_ODD = ("", ".", "..")
"""Names of which a path does not keep what is written."""


class Videos:
    """The videos below `root`, laid out as `<video_location>/<MIT class>/<name>.mp4`.

    Raises:
        AvmitError: `root` is no folder, or has none of the folders of Moments in Time.
    """

    def __init__(self, root: Path):
        check_root(root, "the one that holds training and validation")
        self.root = root
        spellings = [name for names in LOCATIONS.values() for name in names]
        if not any((root / name).is_dir() for name in spellings):
            raise AvmitError(
                f"neither training nor validation in {root}: --videos takes the folder of "
                "Moments in Time that holds them"
            )
        self._prefix = os.path.join(root, "")  # noqa: PTH118 - with a slash at its end
        self._listing = cache(_listing)

    def find(self, video_location: str, filename: str) -> Path | None:
        """Return the file of the video `filename` (MIT class/name.mp4), or None.

        The exact name is looked for first, then the same letters in another Unicode form, then
        the alias of a long name or the long name of an alias.
        """
        folder, _, name = filename.rpartition("/")
        spellings = LOCATIONS.get(video_location, (video_location,))
        for location in spellings:
            path = self.root / location / folder / name
            if is_file(path):
                return path
        for location in spellings:
            folders = self._listing(self.root / location)
            files = self._listing(folders.get(plain_name(folder), self.root / location / folder))
            found = files.get(plain_name(name)) or by_alias(Path(name).stem, files.values())
            if found is not None:
                return found
        return None

    def look(self, video_location: str, filename: str) -> tuple[str, int, int] | None:
        """Return the path below the root of a video's file, its size and its time of change in ns.

        The file is the one that `find` returns; of a million videos this takes seconds.
        """
        folder, _, name = filename.partition("/")
        if folder not in _ODD and name not in _ODD and "/" not in name:
            for location in LOCATIONS.get(video_location, ()):
                path = f"{location}/{folder}/{name}"
                with suppress(OSError, ValueError):  # not there, or no name of a file
                    found = os.stat(f"{self._prefix}{path}")  # noqa: PTH116 - thrice as fast
                    if stat.S_ISREG(found.st_mode):
                        return path, found.st_size, found.st_mtime_ns
        file = self.find(video_location, filename)
        try:
            facts = None if file is None else file.stat()
        except OSError:
            return None
        if file is None or facts is None:
            return None
        return file.relative_to(self.root).as_posix(), facts.st_size, facts.st_mtime_ns


def check_root(root: Path, what: str) -> None:
    """Refuse what is no folder of videos; `what` says which one is meant.

    Raises:
        AvmitError: it is no folder, or no path in UTF-8.
    """
    if not root.is_dir():
        raise AvmitError(f"no folder {root}: --videos takes {what}")
    if not is_utf8(root):
        raise AvmitError(f"{root} is no path in UTF-8, as decoders need: rename the folder")


def is_utf8(path: Path) -> bool:
    """Tell whether a path is text, not bytes of another encoding."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def unreadable(path: Path) -> str:
    """Say why a video's file has nothing to decode, without waiting for what a pipe may send.

    Nothing is said of a regular file with a content, of which decoders have to find out more.
    """
    if not is_utf8(path):
        return "has a path that is not UTF-8: rename it"  # OpenCV crashes
    try:
        descriptor = os.open(path, READ_AT_ONCE)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    return "" if found.st_size else "is empty"


def is_file(path: Path) -> bool:
    """Tell whether there is a file; there is none of a name that no file can have."""
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def by_alias(stem: str, files: Iterable[Path]) -> Path | None:
    """Return the one of `files` that has the alias of a long name, or the long name of an alias."""
    for alias, ending in ALIASES.items():
        if stem.upper() == alias:
            found = [file for file in files if _is_long_name(file.stem, alias, ending)]
        elif _is_long_name(stem, alias, ending):
            found = [file for file in files if file.stem.upper() == alias]
        else:
            continue
        if len(found) == 1:
            return found[0]
    return None


def _is_long_name(stem: str, alias: str, ending: str) -> bool:
    # An alias begins with the first six letters of the long name.
    return stem.upper().startswith(alias[:6]) and stem.endswith(ending)


def _listing(folder: Path) -> dict[str, Path]:
    try:
        return {plain_name(path.name): path for path in sorted(folder.iterdir(), reverse=True)}
    except OSError:
        return {}


def plain_name(name: str) -> str:
    """Return a name in one Unicode form, white space counted once: copies differ in both."""
    if name.isascii() and name.isprintable() and " " not in name:
        return name
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", name)).strip()
