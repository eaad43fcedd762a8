"""Noticing that the files under a dataset were replaced or changed since it was made."""

import time
from collections.abc import Iterable
from pathlib import Path

from avmit import AvmitError
from experiments.feeding.rows.part import Part

Version = tuple[int, int, int]
PAUSE = 1.0
"""Seconds between two looks, since a look at some hundred shards takes as long as a batch."""


class Unchanged:
    """Remembers the files that datasets are mapped from, in this process and in those after it."""

    def __init__(self, parts: Iterable[Part]):
        files = {file["filename"] for part in parts for file in part.dataset.cache_files}
        self._files = {file: _version(file) for file in sorted(files)}
        self._looked = time.monotonic()

    @property
    def files(self) -> list[str]:
        """The files."""
        return list(self._files)

    def check(self, *, now: bool = False) -> None:
        """Look at the files, if the last look was a while ago or it must be `now`.

        Raises:
            AvmitError: a file is another one than at first, or gone.
        """
        if not now and time.monotonic() - self._looked < PAUSE:
            return
        for file, version in self._files.items():
            if _version(file) != version:
                raise replaced([file])
        self._looked = time.monotonic()


def replaced(files: list[str]) -> AvmitError:
    """Return an error that says that one of the files was replaced."""
    first = Path(files[0]).resolve() if files else "a file"
    one = first if len(files) < 2 else f"{first} or one of {len(files) - 1} more"
    return AvmitError(f"{one} was replaced while its rows were read: load the package again")


def _version(file: str) -> Version | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
