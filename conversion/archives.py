"""List and read records inside .zip, .tar, .tar.gz and .tgz files, without unpacking them.

A zip or a tar is read at the offsets that its index gives. A compressed tar can be read from its
start only, so one pass copies its records, still compressed each, into a spill file beside the
output, and they are read from there in whatever order the rows want; memory holds the index alone.
"""

import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from isal import igzip, isal_zlib

from avmit import AvmitError
from conversion.tfrecord import MAX_RECORD_BYTES, BadRecord

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_ZIP_LOCAL_HEADER = struct.Struct("<26xHH")  # PKWARE APPNOTE 4.3.7: lengths of name and extra field
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Member:
    """Where a record lies in an archive; `size` is what it takes there, in bytes.

    `inflated` is the size that the index gives it, for a record that is packed once more.
    """

    offset: int
    size: int
    inflated: int = 0
    method: int = zipfile.ZIP_STORED
    encrypted: bool = False
    local_header: bool = False


class ArchiveReader:
    """Reads records at their offsets in an archive or spill file."""

    def __init__(self, file: str, members: dict[str, Member]):
        self.file = file
        self.members = members
        self._opened: int | None = None

    def __reduce__(self) -> tuple[type["ArchiveReader"], tuple[str, dict[str, Member]]]:
        return ArchiveReader, (self.file, self.members)

    def __del__(self) -> None:
        if self._opened is not None:
            os.close(self._opened)

    def subset(self, names: Container[str]) -> "ArchiveReader":
        """Return a reader of `names` alone, small enough to send to another process."""
        members = {name: member for name, member in self.members.items() if name in names}
        return ArchiveReader(self.file, members)

    def read(self, name: str) -> bytes:
        """Return the bytes of the record file `name`.

        Raises:
            OSError: the archive cannot be read.
            BadRecord: the member is encrypted, packed by another method, damaged or too large.
        """
        member = self.members[name]
        if member.encrypted:
            raise BadRecord("is encrypted in its archive")
        if max(member.size, member.inflated) > MAX_RECORD_BYTES:
            raise BadRecord(f"takes more than {MAX_RECORD_BYTES:,} bytes")
        if self._opened is None:  # once for the thousands of reads that follow
            self._opened = os.open(self.file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        os.lseek(self._opened, member.offset, os.SEEK_SET)
        if member.local_header:
            _skip_local_header(self._opened)
        data = os.read(self._opened, member.size)
        if len(data) < member.size:
            raise BadRecord("is truncated in its archive")
        if member.method == zipfile.ZIP_STORED:
            return data
        if member.method == zipfile.ZIP_DEFLATED:
            return _inflate(data, member.inflated)
        raise BadRecord(f"is packed by zip method {member.method}, which is not supported")


def is_archive(path: Path) -> bool:
    """Tell by its name whether a file is an archive that may hold records."""
    return path.name.lower().endswith(SUFFIXES)


def is_compressed_tar(path: Path) -> bool:
    """Tell by its name whether a file must be read through from its start."""
    return path.name.lower().endswith((".tar.gz", ".tgz"))


def list_members(archive: Path) -> dict[str, Member]:
    """Return the files of a zip or uncompressed tar by name.

    Raises:
        AvmitError: it is not such an archive or is damaged, or a member points outside of it.
    """
    try:
        if archive.name.lower().endswith(".zip"):
            return dict(_zip_members(archive))
        with tarfile.open(archive, "r:") as tar:
            return {
                name: Member(info.offset_data, info.size) for name, info in _tar_files(archive, tar)
            }
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise _damaged(archive, error) from error


def _zip_members(archive: Path) -> Iterator[tuple[str, Member]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            check_member_name(archive, info.filename)
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                raise _points_outside(archive, info.filename, "is a link")
            if not info.is_dir():
                encrypted = bool(info.flag_bits & _ENCRYPTED)
                yield (
                    info.filename,
                    Member(
                        info.header_offset,
                        info.compress_size,
                        info.file_size,
                        info.compress_type,
                        encrypted,
                        local_header=True,
                    ),
                )


def _tar_files(archive: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    while (info := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]  # else every header stays in memory
        name = info.name.removeprefix("./")
        check_member_name(archive, name)
        if info.issym() or info.islnk():
            raise _points_outside(archive, name, "is a link")
        if info.isreg():
            yield name, info


def spill(archive: Path, rated: Container[str], folder: Path) -> "Spill":
    """Copy the records of a compressed tar that `rated` names into a file in `folder`, in one pass.

    A spill that an earlier run finished, of the same archive, is used again.

    Raises:
        AvmitError: the archive is damaged, or a member points outside of it.
    """
    stat = archive.stat()
    key = f"{archive.name}-{stat.st_size}-{stat.st_mtime_ns}"
    data, index = folder / f"{key}.spill", folder / f"{key}.json"
    earlier = _finished_spill(data, index)
    if earlier is not None and not any(record_name(name) in rated for name in earlier.others):
        return earlier
    folder.mkdir(parents=True, exist_ok=True)
    index.unlink(missing_ok=True)
    try:
        members, others = _copy_records(archive, rated, data)
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    content = {"members": {name: asdict(m) for name, m in members.items()}, "others": others}
    temporary = index.with_suffix(".part")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(index)
    return Spill(data, members, others)


def remove_spills(folder: Path) -> None:
    """Drop the spills in `folder`, whose records have all been read; nothing else in it."""
    for data in folder.glob("*.spill"):
        data.with_suffix(".json").unlink(missing_ok=True)
        data.unlink()


def _copy_records(
    archive: Path, rated: Container[str], target: Path
) -> tuple[dict[str, Member], list[str]]:
    members: dict[str, Member] = {}
    others: list[str] = []
    try:
        with (
            target.open("wb") as copy,
            igzip.open(archive, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for name, info in _tar_files(archive, tar):
                if record_name(name) not in rated:
                    others.append(name)
                    continue
                members[name] = Member(copy.tell(), info.size)
                # One too large is refused when it is read: its bytes are not needed.
                source = tar.extractfile(info)
                if source is not None and info.size <= MAX_RECORD_BYTES:
                    copy.write(source.read())
            copy.flush()
            os.fsync(copy.fileno())
    except (tarfile.TarError, EOFError, zlib.error, igzip.BadGzipFile) as error:
        raise _damaged(archive, error) from error
    return members, others


@dataclass(frozen=True)
class Spill:
    """A compressed tar's records in one file, and the names of its other files."""

    file: Path
    members: dict[str, Member]
    others: list[str]


def _finished_spill(data: Path, index: Path) -> Spill | None:
    """Return the spill that an earlier run finished, which then wrote its index."""
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    members = {name: Member(**member) for name, member in content["members"].items()}
    return Spill(data, members, content["others"])


def record_name(member: str) -> str:
    """Return the last two parts of a member's name: label/name.tfrecord, if it is a record."""
    return "/".join(member.rsplit("/", 2)[-2:])


def check_member_name(archive: Path, name: str) -> None:
    """Refuse a member whose name leads out of its archive.

    Raises:
        AvmitError: the name is absolute or contains `..`.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts[:1] and path.parts[0].endswith(":")):
        raise _points_outside(archive, name, "leads outside")


def _points_outside(archive: Path, name: str, how: str) -> AvmitError:
    return AvmitError(
        f"{archive}: member '{name}' {how}, which no file of the release does: fetch it again"
    )


def _damaged(archive: Path, error: Exception) -> AvmitError:
    return AvmitError(f"{archive} is damaged or not complete ({error}): fetch it again")


def _skip_local_header(archive: int) -> None:
    """Go on to a zip member's data; the lengths before it may differ from the index's."""
    header = os.read(archive, _ZIP_LOCAL_HEADER.size)
    if not header.startswith(b"PK\x03\x04") or len(header) < _ZIP_LOCAL_HEADER.size:
        raise BadRecord("has a damaged header in its archive")
    os.lseek(archive, sum(_ZIP_LOCAL_HEADER.unpack(header)), os.SEEK_CUR)


def _inflate(data: bytes, size: int) -> bytes:
    """Inflate a zip member's data, of which `size` bytes should come and never more."""
    member = isal_zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        inflated: bytes = member.decompress(data, size + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # an untyped stub
        raise BadRecord(f"is damaged in its archive ({error})") from error
    if not member.eof or len(inflated) != size:
        raise BadRecord("is damaged in its archive (its size is another)")
    return inflated
