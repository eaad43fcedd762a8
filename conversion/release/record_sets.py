"""Find the sets of records in a release as downloaded, and read records from where they lie."""

import os
import stat
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from avmit import AvmitError
from conversion.release.archives import (
    ArchiveReader,
    Member,
    is_archive,
    is_compressed_tar,
    list_members,
    record_name,
    spill,
)
from conversion.release.visible_files import visible_files
from conversion.tfrecord.record import MAX_RECORD_BYTES, BadRecord
from conversion.whole import READ_AT_ONCE, read_up_to
from conversion.wording import some

SUFFIX = ".tfrecord"
_MOST_SETS = 100


class Reader(Protocol):
    """Where a set's records lie; instances are sent to worker processes."""

    def read(self, name: str) -> bytes:
        """Return the bytes of the record file `name` (label/name.tfrecord).

        Raises:
            OSError: it cannot be read.
            BadRecord: it is too large, or its archive is damaged where it lies.
        """

    def subset(self, names: Container[str]) -> "Reader":
        """Return a reader of `names` alone, small enough to send to another process."""


@dataclass(frozen=True)
class FolderReader:
    """Reads records that lie as files below `root`."""

    root: str

    def read(self, name: str) -> bytes:
        """Return the bytes of the file `name` below the root."""
        # os.open is a third faster than open() on files this small, of which there are 57,177.
        descriptor = os.open(f"{self.root}/{name}", READ_AT_ONCE)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise BadRecord("is no regular file")
            if found.st_size > MAX_RECORD_BYTES:
                raise BadRecord(f"is larger than {MAX_RECORD_BYTES:,} bytes")
            return read_up_to(descriptor, found.st_size)
        finally:
            os.close(descriptor)

    def subset(self, names: Container[str]) -> "FolderReader":
        """Return this reader, which holds no index."""
        return self


@dataclass
class RecordSet:
    """The records of one embedding set.

    `path` is their root; inside an archive, that is the archive's path with the root's below it.
    `names` are those that rated videos point to; `strays` counts the other record files beside
    them, such as the `delete_this.tfrecord` that the published extractor leaves behind.
    """

    path: Path
    reader: Reader
    archive: Path | None = None
    names: set[str] = field(default_factory=set)
    strays: int = 0


def find_record_sets(source: Path, rated: Container[str], work: Path) -> list[RecordSet]:
    """Find every record set below `source`, at any depth and under any name, in path order.

    A set's root is the folder from which the names in `rated` (label/name.tfrecord) lead to files,
    on disk or in a .zip, .tar, .tar.gz or .tgz; `source` may be such an archive itself. Compressed
    tars are spilled into the folder `work`.

    Raises:
        AvmitError: an archive is damaged or no regular file, or has a member that no release has;
            or there are more than a hundred sets.
    """
    files: list[str] = []
    archives: list[Path] = []
    alone = source.exists() and not source.is_dir()
    for path in [str(source)] if alone else visible_files(source):
        if path.endswith(SUFFIX) and not alone:
            files.append(path)
        elif is_archive(Path(path)):
            archives.append(Path(path))
    sets = []
    for root, (names, strays) in _group(files, rated).items():
        sets.append(RecordSet(Path(root), FolderReader(root), None, names, strays))
    for archive in archives:
        sets += _sets_in_archive(archive, rated, work)
    sets.sort(key=lambda found: found.path)
    if len(sets) > _MOST_SETS:
        found = some([str(records.path) for records in sets])
        raise AvmitError(
            f"{len(sets):,} record sets in {source} ({found}): leave those that are meant"
        )
    return sets


def _sets_in_archive(archive: Path, rated: Container[str], work: Path) -> list[RecordSet]:
    if is_compressed_tar(archive):
        spilled = spill(archive, rated, work)
        file, members, others = spilled.file, spilled.members, spilled.others
    else:
        file, members, others = archive, list_members(archive), []
    sets = []
    paths = [path for path in (*members, *others) if path.endswith(SUFFIX)]
    for root, (names, strays) in _group(paths, rated).items():
        below = {name: _member(members, root, name) for name in names}
        reader = ArchiveReader(str(file), below)
        sets.append(RecordSet(archive / root, reader, archive, names, strays))
    return sets


def _member(members: dict[str, Member], root: str, name: str) -> Member:
    return members[f"{root}/{name}" if root else name]


def _group(paths: list[str], rated: Container[str]) -> dict[str, tuple[set[str], int]]:
    """Group the paths of record files by root: the rated names below it, and how many others."""
    names: dict[str, set[str]] = {}
    others: list[str] = []
    for path in paths:
        path = path.replace(os.sep, "/")
        name = record_name(path)
        if name in rated:
            root = path[: -len(name)].removesuffix("/")
            names.setdefault(root, set()).add(name)
        else:
            others.append(path)
    strays = dict.fromkeys(names, 0)
    roots: _Folders = {}
    for root in names:
        below = roots
        for part in root.split("/") if root else []:
            below = below.setdefault(part, {})
    for path in others:
        above = _deepest_above(path, roots, names)
        if above is not None:
            strays[above] += 1
    return {root: (found, strays[root]) for root, found in names.items()}


_Folders = dict[str, "_Folders"]


def _deepest_above(path: str, roots: _Folders, names: Container[str]) -> str | None:
    """Return the deepest of `names` that a path lies below; `roots` are these, part by part."""
    deepest = "" if "" in names else None
    length = 0
    for part in path.split("/")[:-1]:
        if part not in roots:
            break
        roots = roots[part]
        length += len(part) + 1
        if path[: length - 1] in names:
            deepest = path[: length - 1]
    return deepest
