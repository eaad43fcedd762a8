"""One submission at a time for an output, whoever on machines that share its folder submits.

Two at once would both find shards missing that neither has in the queue yet. The lock is a file
that is made exclusively, which NFS does for all its clients; locks of the system it may not have.
"""

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conversion import ground
from conversion.package.workspace import WORK, has_ended
from conversion.whole import new_file, read_regular
from conversion.wording import printable

_LOCK = "submitting.lock"
STALE_SECONDS = 900
"""Twice as long as it can take: four answers of Slurm's, two minutes each at most. A lock so old
was left by a process that was killed, on whichever machine."""

_MOST = 2**10


@contextmanager
def submitting(out: Path) -> Iterator[None]:
    """Be the only one that submits work of this output.

    Raises:
        AvmitError: another process is at it, or the folder cannot be written to.
    """
    path = out / WORK / _LOCK
    own = json.dumps(
        {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    ).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _made(path, own):
            _pass_over_stale(path)
            if not _made(path, own):
                raise ground.AvmitError(
                    f"{_holder(_read(path))} is submitting work of {printable(str(out))} at this "
                    "moment: run this again when that is done"
                )
    except OSError as error:
        raise ground.AvmitError(
            f"cannot write to {path.parent} ({error.strerror or error}): choose another --out"
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if _read(path) == own:  # it may have been passed over
                path.unlink()


def _made(path: Path, content: bytes) -> bool:
    """Make the lock, unless there is one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(content)
    return True


def _pass_over_stale(path: Path) -> None:
    """Move a lock away that a killed process left; one that has just been made is put back."""
    with contextlib.suppress(FileNotFoundError):
        seen = path.stat()
        if not (_ended_here(_read(path)) or _now(path.parent) - seen.st_mtime > STALE_SECONDS):
            return
        aside = path.with_name(f"{_LOCK}.{secrets.token_hex(8)}")
        path.rename(aside)
        moved = aside.stat()
        if (moved.st_ino, moved.st_mtime_ns) != (seen.st_ino, seen.st_mtime_ns):
            with contextlib.suppress(OSError):
                path.hardlink_to(aside)
        aside.unlink()


def _now(folder: Path) -> float:
    """Return the time by the clock that gives files theirs, which a file server has of its own."""
    path, file = new_file(folder)
    with file:
        found = os.fstat(file.fileno()).st_mtime
    path.unlink()
    return found


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, _MOST)
    except OSError:
        return b""  # it is gone, or being written


def _said(content: bytes) -> tuple[str, int]:
    """Return the host and process that a lock names, or none."""
    try:
        found = json.loads(content)
        return str(found["host"]), int(found["pid"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", 0


def _ended_here(content: bytes) -> bool:
    host, pid = _said(content)
    return host == socket.gethostname() and pid > 0 and has_ended(pid)


def _holder(content: bytes) -> str:
    host, pid = _said(content)
    return f"process {pid} on {printable(host)}" if pid else "another process"
