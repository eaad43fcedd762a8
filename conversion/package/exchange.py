"""Put a folder in the place of another in one step, where the system can."""

import ctypes
import errno
import os
import sys
from pathlib import Path

_AT_FDCWD = -100  # Linux: fcntl.h
_SWAP = 2  # Linux: RENAME_EXCHANGE of renameat2(2); macOS: RENAME_SWAP of renamex_np(2)
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def put_in_place(new: Path, published: Path, aside: Path) -> bool:
    """Let the folder `new` be called `published`; tell whether there was one of that name.

    The earlier one is then called `new`. On Linux and macOS, on file systems that can, both change
    names in one step: whoever opens `published`, and however this is cut off, finds the one or the
    other, whole. Elsewhere the earlier one is called `aside` for a moment, while `published` is
    missing; `bring_back` mends what was cut off there.

    Raises:
        OSError: neither can be done.
    """
    if not os.path.lexists(published):
        try:
            new.rename(published)
            return False
        except OSError as error:
            # Another run, on a file system without locks, was a moment faster.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    if not _exchange(new, published):
        published.rename(aside)
        new.rename(published)
        aside.rename(new)
    return True


def bring_back(published: Path, aside: Path) -> None:
    """Give a folder its name again that a run was cut off from giving back."""
    if aside.is_dir() and not aside.is_symlink() and not os.path.lexists(published):
        aside.rename(published)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where system or file system has no such call."""
    name = {"linux": "renameat2", "darwin": "renamex_np"}.get(sys.platform)
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if call is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux":
        failed = call(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _SWAP)
    else:
        failed = call(*paths, _SWAP)
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))
