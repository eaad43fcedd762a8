"""Find the sets of records in a release as downloaded, and read records from where they lie."""

import os
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

SUFFIX = ".tfrecord"


class Reader(Protocol):
    """Where a set's records lie; instances are sent to worker processes."""

    def read(self, name: str) -> bytes:
        """Return the bytes of the record file `name` (label/name.tfrecord).

        Raises:
            OSError: it cannot be read.
        """


@dataclass(frozen=True)
class FolderReader:
    """Reads records that lie as files below `root`."""

    root: str

    def read(self, name: str) -> bytes:
        """Return the bytes of the file `name` below the root."""
        # os.open is a third faster than open() on files this small, of which there are 57,177.
        descriptor = os.open(f"{self.root}/{name}", os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            size = os.fstat(descriptor).st_size
            data = os.read(descriptor, size)
            while len(data) < size and (more := os.read(descriptor, size - len(data))):
                data += more
            return data
        finally:
            os.close(descriptor)


@dataclass
class RecordSet:
    """The records of one embedding set.

    `names` are those that rated videos point to; `strays` counts the other record files beside
    them, such as the `delete_this.tfrecord` that the published extractor leaves behind.
    """

    path: Path
    reader: Reader
    names: set[str] = field(default_factory=set)
    strays: int = 0


def find_record_sets(source: Path, rated: Container[str]) -> list[RecordSet]:
    """Find every record set below `source`, at any depth and under any name, in path order.

    A set's root is the folder from which the names in `rated` (label/name.tfrecord) lead to files.
    """
    sets: dict[str, RecordSet] = {}
    strays: list[str] = []
    for folder, name in _record_files(source):
        root, label = os.path.split(folder)
        record = f"{label}/{name}"
        if record in rated:
            if root not in sets:
                sets[root] = RecordSet(Path(root), FolderReader(root))
            sets[root].names.add(record)
        else:
            strays.append(folder)
    for folder in strays:
        above = [root for root in sets if f"{folder}{os.sep}".startswith(f"{root}{os.sep}")]
        if above:
            sets[max(above, key=len)].strays += 1
    return [sets[root] for root in sorted(sets)]


def _record_files(source: Path) -> Iterator[tuple[str, str]]:
    for folder, subfolders, files in os.walk(source):
        # What a run keeps beside its output is never input.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(SUFFIX):
                yield folder, name
