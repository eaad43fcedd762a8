"""Where runs build what is not finished: in folders below the output, each run in its own."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from avmit import AvmitError

WORK = ".avmit-work"
"""The folder, below the output, of what is not finished; nothing reads it but the next run."""

_LOCK = ".avmit.lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_IDLE_SECONDS = 3600
"""A folder of another machine's run, or of one whose number has come up again, is given up when
nothing changed in it for so long; a run that is at work changes its own every few minutes."""

_SHARED = "kept-0-00000000"
"""In place of a run's token: nobody's, so that whoever finds it may move what is there."""

_FOLDER = re.compile(r"(?P<name>.+)\.(?P<host>[\w-]*)-(?P<pid>\d+)-[0-9a-f]{8}")
_live: set[str] = set()
"""The tokens of this process's runs that are at work."""


@dataclass(frozen=True)
class Workspace:
    """One run's place below `out`; its folders end in `token`, which no other run has."""

    out: Path
    token: str

    @property
    def work(self) -> Path:
        """The folder that all runs' folders are in."""
        return self.out / WORK

    def folder(self, name: str) -> Path:
        """Return this run's own folder of that name, made if need be."""
        folder = self.work / f"{name}.{self.token}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def shared(self, name: str) -> Path:
        """Return the folder of that name that runs share which believe nothing in it unchecked.

        It need not be there, and what is in it may be gone at any time.
        """
        return self.work / f"{name}.{_SHARED}"

    def earlier(self, name: str) -> list[Path]:
        """Return other runs' folders of that name, the latest first; none of them is a link."""
        found = [
            path
            for path in _folders(self.work)
            if (match := _FOLDER.fullmatch(path.name)) is not None
            and match["name"] == name
            and not path.name.endswith(self.token)
        ]
        return sorted(found, key=_last_change, reverse=True)


def take_over(folder: Path, own: Path, pattern: str = "*") -> bool:
    """Bring another run's files of that pattern into this run's folder; tell whether there are any.

    A run that may still be at work keeps its own, and goes on with them.
    """
    found = [path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink()]
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            if is_given_up(folder):
                path.replace(own / path.name)
            else:
                shutil.copyfile(path, own / path.name)
    return bool(found)


def is_given_up(folder: Path) -> bool:
    """Tell whether the run whose folder it is has ended, so that its work may be moved or removed.

    A lock would tell, but some file systems have none, or grant one to everybody.
    """
    match = _FOLDER.fullmatch(folder.name)
    if match is None:
        return False
    token = folder.name.removeprefix(f"{match['name']}.")
    if token == _SHARED:
        return True
    pid = int(match["pid"])
    if match["host"] == _host() and token not in _live and (pid == os.getpid() or has_ended(pid)):
        return True
    return token not in _live and time.time() - _last_change(folder) > _IDLE_SECONDS


@contextlib.contextmanager
def workspace(
    out: Path, *, lock: bool = True, remedy: str = "choose another --out"
) -> Iterator[Workspace]:
    """Make the output folder if need be, and yield this run's place in it.

    With `lock` the folder is this run's alone. The lock is the system's, so that a killed run
    leaves none behind; where a file system has no locks, runs go on side by side, each in folders
    of its own. What is left in those is there for the next run; empty ones are not left.
    `remedy` is what to do where it cannot be written to.

    Raises:
        AvmitError: another run is at work in the folder, or it cannot be made, or is a trap.
    """
    token = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    made = not out.exists()
    held = filelock.FileLock(out / _LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if lock:
            _acquire(held)
    except filelock.Timeout:
        raise AvmitError(f"another run is writing to {out}: wait for it, or stop it") from None
    except OSError as error:
        raise AvmitError(f"cannot write to {out} ({error.strerror or error}): {remedy}") from None
    space = Workspace(out, token)
    _live.add(token)
    try:
        if os.path.lexists(space.work) and (space.work.is_symlink() or not space.work.is_dir()):
            raise AvmitError(
                f"{space.work} is not a folder of avmit's but a link or a file: delete it"
            )
        yield space
    finally:
        _live.discard(token)
        _remove_if_empty(space, made, Path(held.lock_file))
        if held.is_locked:
            held.release()


def _acquire(lock: filelock.BaseFileLock) -> None:
    try:
        lock.acquire(timeout=0)
    except NotImplementedError:  # filelock's word for a file system without locks
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _remove_if_empty(space: Workspace, made: bool, lock: Path) -> None:
    for folder in _folders(space.work):
        if folder.name.endswith(space.token) or is_given_up(folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
    with contextlib.suppress(OSError):
        space.work.rmdir()
    with contextlib.suppress(OSError):
        if made and [path.name for path in space.out.iterdir()] == [lock.name]:
            lock.unlink()
        if made:
            space.out.rmdir()


def _folders(work: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in work.iterdir() if path.is_dir() and not path.is_symlink()]
    return []


def _last_change(folder: Path) -> float:
    latest = 0.0
    with contextlib.suppress(OSError):
        latest = folder.lstat().st_mtime
        for path in folder.iterdir():
            latest = max(latest, path.lstat().st_mtime)
    return latest


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:32]


def has_ended(pid: int) -> bool:
    """Tell whether there is surely no process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's, or a system that does not tell
        return False
    return False
