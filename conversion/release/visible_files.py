"""Find the files of a source."""

import os
from collections.abc import Iterator
from pathlib import Path


def visible_files(source: Path) -> Iterator[str]:
    """Yield the path of every file below `source`, in order, but for those in hidden folders.

    What a run keeps beside its output is never input, nor are the copies that editors keep.
    """
    for folder, subfolders, files in os.walk(source):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(files))  # noqa: PTH118 - fast
