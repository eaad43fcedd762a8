"""Write files that appear whole: under a name of one's own first, then by a rename."""

import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

PART = re.compile(r"\.avmit-[0-9a-f]{16}\.part")
"""The names of files that `new_file` makes."""

_BINARY = getattr(os, "O_BINARY", 0)
READ_AT_ONCE = os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0)
"""Flags for `os.open` that never wait for somebody to write to a pipe."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def whole_file(
    path: Path, folder: Path | None = None, *, durable: bool = True
) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path` when the block ends without an exception.

    Until then it lies in `folder`, by default that of `path`, under a name that no other process
    has, and that no link can stand under. `durable` waits until the disk has it.
    """
    temporary, raw = new_file(folder or path.parent)
    try:
        # Buffered, for a disk that gets full takes a part of what is written and says nothing.
        with io.BufferedWriter(cast(io.RawIOBase, raw)) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Yield the path of a new file that takes the place of `path` as in `whole_file`.

    For what writes to a name and not to a file that is open.
    """
    temporary, file = new_file(path.parent)
    file.close()
    try:
        yield temporary
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(
    path: Path, data: bytes, folder: Path | None = None, *, durable: bool = True
) -> None:
    """Let `path` hold `data`, as `whole_file` does."""
    with whole_file(path, folder, durable=durable) as file:
        file.write(data)


def new_file(folder: Path) -> tuple[Path, BinaryIO]:
    """Make a file of an unused name in `folder`, never by following a link; unbuffered."""
    while True:
        path = folder / f".avmit-{secrets.token_hex(8)}.part"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        except FileExistsError:
            continue
        return path, open(descriptor, "wb", buffering=0)  # noqa: PTH123 - a descriptor


def open_to_append(path: Path) -> BinaryIO:
    """Open a file of ours to go on with, or make it; unbuffered.

    Raises:
        OSError: it cannot be opened, is a link, or is no regular file.
    """
    return _open_ours(path, os.O_WRONLY | os.O_APPEND, "ab")


def open_at_will(path: Path) -> BinaryIO:
    """Open a file of ours to read and write anywhere, or make it; unbuffered.

    Raises:
        OSError: it cannot be opened, is a link, or is no regular file.
    """
    return _open_ours(path, os.O_RDWR, "r+b")


def _open_ours(path: Path, flags: int, mode: str) -> BinaryIO:
    flags |= os.O_CREAT | _BINARY | _NO_LINK | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return cast(BinaryIO, open(descriptor, mode, buffering=0))  # noqa: PTH123 - a descriptor


def read_regular(path: Path, most: int | None = None) -> bytes:
    """Return a regular file's content without waiting for what a pipe or device may send.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `most` bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise OSError(f"{path} has {size:,} bytes, more than {most:,}")
        return file.read()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read, without waiting for what a pipe or device may send.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, READ_AT_ONCE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return open(descriptor, "rb")  # noqa: PTH123 - a descriptor


def read_up_to(descriptor: int, size: int) -> bytes:
    """Return the next `size` bytes of a file, fewer only where it ends before."""
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more  # some network file systems give less than they are asked for
    return data
