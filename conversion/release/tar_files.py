"""Walk the files of a tar without following what its headers say further than it goes.

`tarfile` decodes the header blocks. It does not walk them here, for it believes them: it reads a
header of any size into memory, seeks past the end without noticing, and takes a damaged header for
the end of the archive.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_BLOCK = tarfile.BLOCKSIZE
_MOST_HEADER = 65_536  # bytes of a long name or of pax fields, which have a hundred or so
_MOST_PAX_FIELDS = 32
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_NO_CONTENT = (tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)


class BadTar(Exception):
    """The archive is damaged, or not of a kind that a release is in; the text says how."""


class BadMember(Exception):
    """A member that no release has: (its name, what it is)."""


@dataclass(frozen=True, slots=True)
class TarFile:
    """A regular file in a tar: its name and where its content lies, in bytes."""

    name: str
    offset: int
    size: int


def tar_files(file: BinaryIO, most_bytes: int, most_headers: int) -> Iterator[TarFile]:
    """Yield the regular files of the tar that `file` is open at, which then stands at the content.

    `file` is only ever sought forward, and its content may be read or left. It cannot have more
    than `most_bytes`.

    Raises:
        BadTar: a header is damaged or absurd, there are more than `most_headers`, or the archive is
            cut off.
        BadMember: a link or a sparse file.
    """
    position = 0
    name = size = None
    for _ in range(most_headers):
        file.seek(position)
        info = _header(_read(file, _BLOCK))
        if info is None:
            return
        position += _BLOCK
        if info.type in (*_PAX, *_NAMES, tarfile.XGLTYPE):
            if not 0 <= info.size <= _MOST_HEADER:
                raise BadTar(f"a header of {info.size:,} bytes")
            content = _read(file, info.size)
            position += _padded(info.size)
            if info.type in _PAX:
                pax = _pax_fields(content)
                name, size = pax.get("path", name), _pax_size(pax) or size
                if any(key.startswith("GNU.sparse.") for key in pax):
                    raise BadMember(name or info.name, "is sparse")
            elif info.type == tarfile.GNUTYPE_LONGNAME:
                name = content.partition(b"\0")[0].decode(errors="surrogateescape")
            continue
        name = info.name if name is None else name
        size = info.size if size is None else size
        if info.issym() or info.islnk():
            raise BadMember(name, "is a link")
        if info.type == tarfile.GNUTYPE_SPARSE:
            raise BadMember(name, "is sparse")
        if not 0 <= size <= most_bytes - position:
            raise BadTar(f"a member of {size:,} bytes, more than there are")
        if info.isreg():
            yield TarFile(name, position, size)
        if info.type not in _NO_CONTENT:
            position += _padded(size)
        name = size = None
    raise BadTar(f"more than {most_headers:,} members")


def _header(block: bytes) -> tarfile.TarInfo | None:
    """Decode a header block; None for the empty one at the end."""
    if not any(block):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise BadTar(str(error)) from error


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise BadTar("it ends before its mark of the end")
    return data


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _pax_fields(content: bytes) -> dict[str, str]:
    """Return the `length key=value` lines of a pax header."""
    fields: dict[str, str] = {}
    start = 0
    while start < len(content) and content[start]:  # as far as the padding, of which some have more
        digits = content[start : start + 8].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        line = content[start : start + length]
        key, equals, value = line[len(digits) + 1 : -1].partition(b"=")
        if not equals or not line.endswith(b"\n") or len(line) < length:
            raise BadTar("a damaged pax header")
        if len(fields) == _MOST_PAX_FIELDS:
            raise BadTar(f"more than {_MOST_PAX_FIELDS} fields in a pax header")
        fields[key.decode(errors="replace")] = value.decode(errors="surrogateescape")
        start += length
    return fields


def _pax_size(fields: dict[str, str]) -> int | None:
    text = fields.get("size")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadTar("a damaged pax header")
    return int(text)
