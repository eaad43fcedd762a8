"""Files that many write and all then agree on: the first that is there stays, whole.

On a shared disk a file that another host made may be seen late, so that a reader who knows that it
must be there waits for it.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.whole import new_file, open_regular, read_regular

LATE_SECONDS = 90.0
"""How long another host's file may be invisible. By default NFS looks again at what it knows of a
folder after 60 seconds at most (nfs(5), acdirmax)."""

_POLL_SECONDS = 0.25


def put_first(path: Path, data: bytes) -> bool:
    """Let `path` hold `data` unless something has its name; tell whether it was put there.

    False says that somebody else was faster, whose file may not be seen yet; see `read_late`.

    Raises:
        OSError: it cannot be written.
    """
    temporary, file = new_file(path.parent)
    try:
        with file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        return _name_first(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _name_first(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        # A server whose answer was lost is asked twice, and says so of what it did itself.
        return temporary.stat().st_nlink > 1
    except OSError:  # a file system without links; who comes second there wins
        if os.path.lexists(path):
            return False
        temporary.replace(path)
    return True


def read_late(path: Path, most: int, start: int = 0, length: int | None = None) -> bytes:
    """Return the content of a file that another host has made, or `length` bytes of it.

    Raises:
        OSError: it is not seen within LATE_SECONDS, cannot be read, or has more than `most` bytes.
    """
    until = time.monotonic() + LATE_SECONDS
    while True:
        try:
            if length is None:
                return read_regular(path, most)
            return _part(path, start, min(length, most))
        except FileNotFoundError:
            if time.monotonic() > until:
                raise
        time.sleep(_POLL_SECONDS)


def _part(path: Path, start: int, length: int) -> bytes:
    with open_regular(path) as file:
        file.seek(start)
        return file.read(length)


def canonical(content: Any) -> bytes:
    """Return JSON, the same bytes for the same content."""
    return json.dumps(content, sort_keys=True, ensure_ascii=True).encode()


def seal(content: Any) -> bytes:
    """Return JSON of a content with its SHA-256, in the order in which all was put in."""
    text = json.dumps(content, ensure_ascii=True)
    return json.dumps({"sha256": _sha256(text), "content": content}, ensure_ascii=True).encode()


def unseal(text: bytes) -> Any:
    """Return the content that was sealed.

    Raises:
        ValueError: it is no such text, or not the one that was written.
    """
    try:
        sealed = json.loads(text.decode("utf-8"))
        if sealed["sha256"] == _sha256(json.dumps(sealed["content"], ensure_ascii=True)):
            return sealed["content"]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (TypeError, KeyError):
        pass
    raise ValueError("it is damaged")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Say where two nested mappings first differ, as `audio: width 1024, now 512`; else nothing."""
    for key in {**there, **here}:
        one, other = there.get(key), here.get(key)
        if one == other:
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return f"{key}: {difference(one, other)}"
        return f"{key} {there.get(key, 'none')}, now {here.get(key, 'none')}"
    return ""
