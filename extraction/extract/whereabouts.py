"""Where the files of videos are, and what can be told of them without opening one."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from conversion.release.annotations import Video
from conversion.release.videos import Videos, check_root
from extraction.media.listed import find_listed

Found = tuple[str, int, int] | None
"""A file's path below the folder of videos, its size and its time of change in ns; None for a video
that is missing."""


class Whereabouts(Protocol):
    """Where videos are that are known by their places in a list."""

    @property
    def root(self) -> Path:
        """The folder that all are below."""

    @property
    def files(self) -> Sequence[str | None]:
        """The paths below the root, with slashes, None for a missing one."""

    def look(self, place: int) -> Found:
        """Return what is found of one; several threads may ask."""


@dataclass(frozen=True)
class Rated:
    """Those of AVMIT's videos, in a copy of Moments in Time."""

    copy: Videos
    videos: Sequence[Video]

    @property
    def root(self) -> Path:
        """The folder of the copy."""
        return self.copy.root

    @cached_property
    def files(self) -> list[str | None]:
        """The paths below the root."""
        found = (self.copy.find(video.video_location, video.filename) for video in self.videos)
        return [None if file is None else file.relative_to(self.root).as_posix() for file in found]

    def look(self, place: int) -> Found:
        """Return what is found of one."""
        video = self.videos[place]
        return self.copy.look(video.video_location, video.filename)


class Listed:
    """Those of a list's videos.

    Raises:
        AvmitError: the root is no folder.
    """

    def __init__(self, root: Path, filenames: Sequence[str]):
        check_root(root, "the one that the paths of the list begin in")
        self.root = root
        self._filenames = filenames
        self._prefix = os.path.join(root, "")  # noqa: PTH118 - with a slash at its end

    @cached_property
    def files(self) -> list[str | None]:
        """The paths below the root, which are looked for together, folder by folder."""
        return find_listed(self.root, self._filenames)

    def look(self, place: int) -> Found:
        """Return what is found of one."""
        path = self.files[place]
        if path is None:
            return None
        try:
            found = os.stat(f"{self._prefix}{path}")  # noqa: PTH116 - thrice as fast
        except OSError:
            return None
        regular = stat.S_ISREG(found.st_mode)
        return (path, found.st_size, found.st_mtime_ns) if regular else None


@dataclass(frozen=True)
class Paths:
    """Files below a folder, of which there may be a million: a path is made when it is asked for.

    None stands for one that is missing.
    """

    root: Path
    files: Sequence[str | None]

    def __iter__(self) -> Iterator[Path | None]:
        return (None if file is None else self.root / file for file in self.files)
