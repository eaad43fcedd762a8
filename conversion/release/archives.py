"""List and read records inside .zip, .tar, .tar.gz and .tgz files, without unpacking them.

A zip or a tar is read at the offsets that its index gives. A compressed tar can be read from its
start only, so one pass copies its records, still compressed each, into a spill file beside the
output, and they are read from there in whatever order the rows want; memory holds the index alone.
"""

import hashlib
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from isal import igzip, isal_zlib

from avmit import AvmitError
from conversion.release.tar_files import BadMember, BadTar, tar_files
from conversion.tfrecord.record import MAX_RECORD_BYTES, BadRecord
from conversion.whole import (
    PART,
    READ_AT_ONCE,
    open_regular,
    read_regular,
    read_up_to,
    whole_file,
    write_whole,
)
from conversion.wording import first_line, printable

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_ZIP_LOCAL_HEADER = struct.Struct("<26xHH")  # PKWARE APPNOTE 4.3.7: lengths of name and extra field
_ENCRYPTED = 1
_LONGEST_NAME = 1024
_MOST_INFLATION = 1032  # of deflate: https://zlib.net/zlib_tech.html
_DAMAGED = (zipfile.BadZipFile, BadTar, EOFError, zlib.error, isal_zlib.error, igzip.BadGzipFile)
# zipfile's way to say what it does not know, or did not expect.
_ODD_ZIP = (NotImplementedError, OverflowError, ValueError, LookupError, struct.error, RuntimeError)
_SPILL = re.compile(r"[0-9a-f]{64}\.(json|spill)")
_MOST_INDEX = 256_000_000  # bytes; ten times that of the published records


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
            self._opened = os.open(self.file, READ_AT_ONCE)
        os.lseek(self._opened, member.offset, os.SEEK_SET)
        if member.local_header:
            _skip_local_header(self._opened)
        data = read_up_to(self._opened, member.size)
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
        AvmitError: it cannot be read, is not such an archive or is damaged, or a member is none
            that a release has.
    """
    with _opened(archive) as file, _explained(archive):
        size = os.fstat(file.fileno()).st_size
        if archive.name.lower().endswith(".zip"):
            members = dict(_zip_members(archive, file))
        else:
            members = dict(_tar_members(archive, file, size))
        # Members may not overlap either, or a small file would hold any amount of records.
        ends = (member.offset + member.size for member in members.values())
        if max(ends, default=0) > size or sum(m.size for m in members.values()) > size:
            raise BadTar("its members are larger than itself")
        return members


def _zip_members(archive: Path, file: BinaryIO) -> Iterator[tuple[str, Member]]:
    with zipfile.ZipFile(file) as opened:
        for info in opened.infolist():
            check_member_name(archive, info.filename)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise BadMember(info.filename, "is a link")
            if info.header_offset < 0:
                raise zipfile.BadZipFile("a member lies before the archive")
            if not info.filename.endswith("/"):  # is_dir() has no answer for an empty name
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


def _tar_members(
    archive: Path, file: BinaryIO, size: int, inflation: int = 1
) -> Iterator[tuple[str, Member]]:
    """Yield the files of a tar of `size` bytes that may inflate to `inflation` times as many."""
    # Packed as well as can be, a megabyte holds two million empty files: more work than the records
    # of a release, each of which takes kilobytes.
    for member in tar_files(file, size * inflation, 20_000 + size // 64):
        name = member.name.removeprefix("./")
        check_member_name(archive, name)
        yield name, Member(member.offset, member.size)


def spill(archive: Path, rated: Container[str], folder: Path) -> "Spill":
    """Copy the records of a compressed tar that `rated` names into a file in `folder`, in one pass.

    `folder` is this run's own, but for what earlier runs left in it.
    A spill that an earlier run finished, of the same archive, is used again.

    Raises:
        AvmitError: the archive cannot be read or is damaged, or a member is none that a release
            has.
    """
    with _opened(archive) as file:
        found = os.fstat(file.fileno())
        identity = os.fsencode(archive.resolve()), found.st_size, found.st_mtime_ns
        key = hashlib.sha256(repr(identity).encode()).hexdigest()
        data, index = folder / f"{key}.spill", folder / f"{key}.json"
        earlier = _finished_spill(data, index)
        if earlier is not None and not any(record_name(name) in rated for name in earlier.others):
            return earlier
        folder.mkdir(parents=True, exist_ok=True)
        _remove(folder, PART)  # of runs that were killed
        with whole_file(data) as copy, _explained(archive):
            members, others = _copy_records(archive, file, rated, copy)
            size = copy.tell()
    places = {name: (member.offset, member.size) for name, member in members.items()}
    content = {"bytes": size, "members": places, "others": others}
    write_whole(index, json.dumps(content).encode())
    return Spill(data, members, others)


def remove_spills(folder: Path) -> None:
    """Drop what `spill` made in `folder`, whose records have all been read; nothing else in it."""
    if folder.is_dir():
        _remove(folder, _SPILL)
        _remove(folder, PART)


def _remove(folder: Path, names: re.Pattern[str]) -> None:
    for path in list(folder.iterdir()):
        if names.fullmatch(path.name) and stat.S_ISREG(path.lstat().st_mode):
            path.unlink()


def _copy_records(
    archive: Path, file: BinaryIO, rated: Container[str], copy: BinaryIO
) -> tuple[dict[str, Member], list[str]]:
    members: dict[str, Member] = {}
    others: list[str] = []
    size = os.fstat(file.fileno()).st_size
    with igzip.open(file, "rb") as stream:
        for name, member in _tar_members(archive, stream, size, _MOST_INFLATION):
            if record_name(name) not in rated:
                others.append(name)
                continue
            members[name] = Member(copy.tell(), member.size)
            # One too large is refused when it is read: its bytes are not needed.
            if member.size <= MAX_RECORD_BYTES:
                content = stream.read(member.size)
                if len(content) < member.size:
                    raise BadTar("it ends inside a member")
                copy.write(content)
    return members, others


@dataclass(frozen=True)
class Spill:
    """A compressed tar's records in one file, and the names of its other files."""

    file: Path
    members: dict[str, Member]
    others: list[str]


def _finished_spill(data: Path, index: Path) -> Spill | None:
    """Return the spill that an earlier run finished, or None if there is none, or an odd one."""
    try:
        content = json.loads(read_regular(index, _MOST_INDEX))
        found = data.lstat()
        size = content["bytes"]
        members = {name: _spilled(place, size) for name, place in content["members"].items()}
        others = content["others"]
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return None
        if not isinstance(others, list) or not all(isinstance(name, str) for name in others):
            return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return Spill(data, members, others)


def _spilled(place: Any, end: Any) -> Member:
    """Return a member at a place that an index gives, if it can be there."""
    offset, size = place
    if not type(offset) is type(size) is type(end) is int or min(offset, size) < 0:
        raise TypeError
    if size <= MAX_RECORD_BYTES and offset + size > end:
        raise ValueError
    return Member(offset, size)


def record_name(member: str) -> str:
    """Return the last two parts of a member's name: label/name.tfrecord, if it is a record."""
    return "/".join(member.rsplit("/", 2)[-2:])


def check_member_name(archive: Path, name: str) -> None:
    """Refuse a member whose name leads out of its archive, or is too long to be a file's.

    Raises:
        AvmitError: the name is absolute, contains `..` or has more than 1,024 characters.
    """
    if len(name) > _LONGEST_NAME:
        raise _of_no_release(archive, f"{name[:60]}...", f"has a name of {len(name):,} characters")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts[:1] and path.parts[0].endswith(":")):
        raise _of_no_release(archive, name, "leads outside")


@contextmanager
def _opened(archive: Path) -> Iterator[BinaryIO]:
    try:
        file = open_regular(archive)
    except OSError as error:
        what = f"cannot be read ({error.strerror})" if error.strerror else "is no regular file"
        raise AvmitError(f"{archive} {what}: put the archive itself there") from None
    with file:
        yield file


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """Say in one line what is wrong with an archive that is read in the block."""
    try:
        yield
    except BadMember as error:
        raise _of_no_release(archive, *error.args) from None
    except (*_DAMAGED, *_ODD_ZIP) as error:  # type: ignore[misc]  # an untyped stub
        raise AvmitError(
            f"{archive} is damaged or not complete ({printable(first_line(error))}): fetch it again"
        ) from error


def _of_no_release(archive: Path, name: str, what: str) -> AvmitError:
    return AvmitError(
        f"{archive}: member '{printable(name)}' {what}, which no file of the release does: "
        "fetch it again"
    )


def _skip_local_header(archive: int) -> None:
    """Go on to a zip member's data; the lengths before it may differ from the index's."""
    header = read_up_to(archive, _ZIP_LOCAL_HEADER.size)
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
