"""Download a Zenodo record's files, going on where an earlier run stopped."""

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

from avmit import AvmitError
from conversion.package.workspace import workspace
from conversion.whole import open_to_append, write_whole
from conversion.zenodo.record import KINDS, RemoteFile, ZenodoRecord
from conversion.zenodo.record_file import FILE, brought_before, write_record_file
from conversion.zenodo.retry import (
    PATIENT,
    Interrupted,
    Retry,
    insist,
    open_session,
    request,
    silent,
    status_of,
)

CHUNK = 1 << 17

Progress = Callable[[RemoteFile, int], None]
"""Is told how many bytes of a file are here; fewer than before if it starts from the beginning."""

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Retrieved:
    """A file that is here and has the record's md5.

    `fetched` is False for one that was here before; `received` counts the bytes that came for it.
    """

    file: RemoteFile
    fetched: bool
    received: int


def unseen(file: RemoteFile, done: int) -> None:
    """Ignore progress."""


def select(record: ZenodoRecord, only: Sequence[str] = ()) -> list[RemoteFile]:
    """Return the record's files of the kinds in `only`; all of them, of any kind, if it is empty.

    Raises:
        AvmitError: an item of `only` is not a kind, or the record has no file of it.
    """
    for kind in only:
        if kind not in KINDS:
            raise AvmitError(f"--only {kind}: there is no such kind; give {', '.join(KINDS)}")
        if not any(file.kind == kind for file in record.files):
            names = ", ".join(file.name for file in record.files)
            raise AvmitError(
                f"--only {kind}: no file of record {record.id} has a name of that kind "
                f"({names}): leave out --only"
            )
    return [file for file in record.files if not only or file.kind in only]


def download(
    out: Path,
    record: ZenodoRecord,
    only: Sequence[str] = (),
    *,
    retry: Retry = PATIENT,
    progress: Progress = unseen,
    say: Callable[[str], None] = silent,
) -> list[Retrieved]:
    """Bring the record's files of the kinds in `only`, or all, into the folder `out`.

    A file gets its name once it is whole and its md5 is the record's; until then it is kept as
    .NAME.part, and the next run asks for the rest alone. A file that is here already is kept if its
    md5 is right. One that an earlier run brought and that has changed is replaced once the right
    one is whole; no other file is. `out`/record.json says what is here. `say` hears of files kept
    or replaced and of attempts that failed.

    Raises:
        AvmitError: there is no connection for too long, the server has something else than the
            record says, another file is in the way, the disk is full, or `out` cannot be written
            to.
    """
    files = select(record, only)
    for file in files:
        if file.name.casefold() == FILE:
            raise AvmitError(
                f"record {record.id} has a file {file.name}, and avmit writes its own of that "
                "name: leave it out with --only"
            )
    retrieved: list[Retrieved] = []
    try:
        with workspace(out), open_session() as session:
            right = _already_right(out, files)
            for file in files:
                fetch = _Fetch(session, out, file, retry, progress, say)
                if file in right:
                    retrieved.append(_keep(file, fetch, say))
                else:
                    retrieved.append(_retrieve(record, file, fetch, out, say))
                write_record_file(out, record, {item.file for item in retrieved})
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = f"the disk of {out} is full: make room"
        else:
            place = error.filename or out
            what = f"cannot write to {place} ({error.strerror or error}): choose another --out"
        raise AvmitError(f"{what} and run again, it goes on where it stopped") from None
    return retrieved


def _already_right(out: Path, files: Sequence[RemoteFile]) -> set[RemoteFile]:
    """Return the files that are here as the record has them, before any is fetched.

    Raises:
        AvmitError: another file of such a name is here, which no earlier run brought.
    """
    record = out / FILE
    brought = brought_before(out)
    if brought is None and os.path.lexists(record):
        raise AvmitError(f"{record} is not the one that avmit writes, and is in the way: move it")
    right = set()
    for file in files:
        target = out / file.name
        if target.is_file() and _is_right(target, file):
            right.add(file)
        elif os.path.lexists(target) and (target.is_symlink() or not target.is_file()):
            raise AvmitError(f"{target} is in the way of a file of that name: move it")
        elif target.is_file() and file.name not in (brought or {}):
            raise AvmitError(
                f"{target} is not the record's, and avmit did not bring it: move it away, or "
                "choose another --out"
            )
    return right


def _keep(file: RemoteFile, fetch: "_Fetch", say: Callable[[str], None]) -> Retrieved:
    fetch.partial.drop()
    fetch.progress(file, file.size)
    say(f"{file.name}: already here")
    return Retrieved(file, False, 0)


def _retrieve(
    record: ZenodoRecord,
    file: RemoteFile,
    fetch: "_Fetch",
    out: Path,
    say: Callable[[str], None],
) -> Retrieved:
    target = out / file.name
    if target.exists():
        say(f"{file.name}: what is here is not the record's; it stays until the right one is whole")
    for last in (False, True):
        try:
            fetch.run(record.content_url(file))
            if _md5(fetch.partial.path) == file.md5:
                fetch.partial.path.replace(target)
                fetch.partial.drop()
                return Retrieved(file, True, fetch.received)
        except _WrongBody:
            pass
        fetch.partial.drop()
        if not last:
            say(f"{file.name}: what came is not the record's; once more from the beginning")
    raise AvmitError(
        f"{file.name}: what the server sends is not what record {record.id} says (md5 {file.md5}, "
        f"{file.size:,} bytes), twice in a row: nothing of it is kept; run again later"
    )


def _is_right(path: Path, file: RemoteFile) -> bool:
    return path.stat().st_size == file.size and _md5(path) == file.md5


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


class _WrongBody(ValueError):
    """What the server sends cannot be the record's file."""


class _Partial:
    """What has come of a file so far, and the ETag that it came with; both survive a killed run."""

    def __init__(self, out: Path, file: RemoteFile):
        self.path = out / f".{file.name}.part"
        self._etag = out / f".{file.name}.etag"

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def etag(self) -> str | None:
        """Return the ETag, if it is one that tells equal bytes."""
        text = self._etag.read_text("latin-1") if self._etag.exists() else ""
        return text if _STRONG_ETAG.fullmatch(text) else None

    def begin(self, etag: str) -> None:
        """Forget what came, for a body that has this ETag; an empty one for none."""
        self.path.unlink(missing_ok=True)
        open_to_append(self.path).close()
        write_whole(self._etag, etag.encode("latin-1"))

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)


class _Fetch:
    """Brings one file."""

    def __init__(
        self,
        session: requests.Session,
        out: Path,
        file: RemoteFile,
        retry: Retry,
        progress: Progress,
        say: Callable[[str], None],
    ):
        self.partial = _Partial(out, file)
        self.progress = progress
        self.received = 0
        self._session = session
        self._file = file
        self._retry = retry
        self._say = say
        self._farthest = 0

    def run(self, url: str) -> None:
        """Bring what is missing of the partial file, however often the connection is lost."""
        self._farthest = 0
        insist(self._file.name, lambda: self._attempt(url), self._retry, self._say)

    def _attempt(self, url: str) -> None:
        """Ask once for what is missing, and append it."""
        if self.partial.size() > self._file.size:
            self.partial.drop()
        open_to_append(self.partial.path).close()
        have = self.partial.size()
        self.progress(self._file, have)
        if have == self._file.size:
            return
        # Bytes as they lie on the server: an archive must not be unpacked on its way.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            etag = self.partial.etag()
            if etag is not None:
                headers["If-Range"] = etag
        with request(self._session, url, self._retry, headers) as response:
            self._append(response, self._start(response, have))

    def _start(self, response: requests.Response, have: int) -> int:
        """Return the offset at which the answer's body starts, having made the partial fit it."""
        name, size = self._file.name, self._file.size
        if response.status_code == 200:
            if have:
                self._say(f"{name}: the server sends it from the beginning")
            length = response.headers.get("Content-Length", str(size))
            if length != str(size):
                raise _WrongBody(f"{length} bytes")
            self.partial.begin(response.headers.get("ETag", ""))
            return 0
        if response.status_code == 206:
            stated = response.headers.get("Content-Range", "")
            match = _CONTENT_RANGE.fullmatch(stated)
            if match is None or match[1] != str(have) or match[2] not in (str(size), "*"):
                raise _WrongBody(stated)
            return have
        if response.status_code == 416:
            self.partial.drop()
            raise Interrupted(f"the server has nothing after byte {have:,}")
        raise AvmitError(
            f"{name}: {response.url} answers {status_of(response)}: see whether the record still "
            "has the file, open to all"
        )

    def _append(self, response: requests.Response, have: int) -> None:
        size = self._file.size
        # urllib3 before 2 raises nothing when a body ends early: what counts is the size.
        with (
            open_to_append(self.partial.path) as part,
            contextlib.suppress(urllib3.exceptions.HTTPError),
        ):
            for piece in response.raw.stream(CHUNK, decode_content=False):
                view = memoryview(piece)
                while view:
                    view = view[part.write(view) :]
                have += len(piece)
                self.received += len(piece)
                self.progress(self._file, have)
                if have > size:
                    raise _WrongBody(f"more than {size} bytes")
        if have < size:
            gained = have > self._farthest
            self._farthest = max(have, self._farthest)
            reason = f"the connection was lost at byte {have:,} of {size:,}"
            raise Interrupted(reason, gained=gained)
