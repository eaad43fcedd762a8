"""Download a Zenodo record's files, going on where an earlier run stopped."""

import contextlib
import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pooch  # type: ignore[import-untyped]
import requests
import urllib3

from avmit import AvmitError
from conversion.staging import locked
from conversion.zenodo import (
    KINDS,
    PATIENT,
    Interrupted,
    RemoteFile,
    Retry,
    ZenodoRecord,
    insist,
    open_session,
    request,
    silent,
    status_of,
)

RECORD_FILE = "record.json"
"""What the files are and where they come from; written beside them."""
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
    md5 is right, and else replaced once the right one is whole. `out`/record.json says what is
    here. `say` hears of files kept or replaced and of attempts that failed.

    Raises:
        AvmitError: there is no connection for too long, the server has something else than the
            record says, the disk is full, or `out` cannot be written to.
    """
    files = select(record, only)
    for file in files:
        if file.name.casefold() == RECORD_FILE:
            raise AvmitError(
                f"record {record.id} has a file {file.name}, and avmit writes its own of that "
                "name: leave it out with --only"
            )
    pooch.get_logger().setLevel(logging.WARNING)  # it would print each address
    retrieved: list[Retrieved] = []
    try:
        with locked(out) as work, open_session() as session:
            for file in files:
                fetch = _Fetch(session, out, file, retry, progress, say)
                retrieved.append(_retrieve(record, file, fetch, out, work / "download", say))
                _write_record(out, record, retrieved)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = f"the disk of {out} is full: make room"
        else:
            place = error.filename or out
            what = f"cannot write to {place} ({error.strerror or error}): choose another --out"
        raise AvmitError(f"{what} and run again, it goes on where it stopped") from None
    return retrieved


def _retrieve(
    record: ZenodoRecord,
    file: RemoteFile,
    fetch: "_Fetch",
    out: Path,
    work: Path,
    say: Callable[[str], None],
) -> Retrieved:
    target = out / file.name
    if target.is_file():
        if _is_right(target, file):
            fetch.partial.drop()
            fetch.progress(file, file.size)
            say(f"{file.name}: already here")
            return Retrieved(file, False, 0)
        say(f"{file.name}: what is here is not the record's; it stays until the right one is whole")
    elif target.exists():
        raise AvmitError(f"{target} is in the way of a file of that name: move it")
    for last in (False, True):
        shutil.rmtree(work, ignore_errors=True)  # what a killed run left
        work.mkdir(parents=True)
        try:
            pooch.retrieve(
                record.content_url(file),
                known_hash=f"md5:{file.md5}",
                fname=file.name,
                path=work.absolute(),
                downloader=fetch,
            )
            (work / file.name).replace(target)
            fetch.partial.drop()
            return Retrieved(file, True, fetch.received)
        except ValueError:  # pooch's, for another md5, and _WrongBody
            fetch.partial.drop()
            if not last:
                say(f"{file.name}: what came is not the record's; once more from the beginning")
        finally:
            shutil.rmtree(work, ignore_errors=True)
    raise AvmitError(
        f"{file.name}: what the server sends is not what record {record.id} says (md5 {file.md5}, "
        f"{file.size:,} bytes), twice in a row: nothing of it is kept; run again later"
    )


def _is_right(path: Path, file: RemoteFile) -> bool:
    return path.stat().st_size == file.size and pooch.file_hash(str(path), "md5") == file.md5


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
        self.path.write_bytes(b"")
        self._etag.write_text(etag, "latin-1")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)


class _Fetch:
    """Brings one file; pooch calls it with the address and with where the whole file goes."""

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

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        self._farthest = 0
        insist(self._file.name, lambda: self._attempt(url), self._retry, self._say)
        whole = Path(output_file)
        whole.unlink()
        try:
            # So that a kill while pooch computes the md5 does not lose what came.
            os.link(self.partial.path, whole)
        except OSError:  # a file system without links
            self.partial.path.replace(whole)

    def _attempt(self, url: str) -> None:
        """Ask once for what is missing, and append it."""
        if self.partial.size() > self._file.size:
            self.partial.drop()
        self.partial.path.touch()
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
            self.partial.path.open("ab") as part,
            contextlib.suppress(urllib3.exceptions.HTTPError),
        ):
            for piece in response.raw.stream(CHUNK, decode_content=False):
                part.write(piece)
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


def _write_record(out: Path, record: ZenodoRecord, retrieved: Sequence[Retrieved]) -> None:
    here = {item.file for item in retrieved} | _listed_before(out, record)
    content = {
        "id": record.id,
        "doi": record.doi,
        "title": record.title,
        "version": record.version,
        "licence": record.licence,
        "publication_date": record.publication_date,
        "url": record.page,
        "files": [asdict(file) | {"kind": file.kind} for file in record.files if file in here],
    }
    temporary = out / f".{RECORD_FILE}.part"
    text = json.dumps(content, indent=2, ensure_ascii=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(out / RECORD_FILE)


def _listed_before(out: Path, record: ZenodoRecord) -> set[RemoteFile]:
    """Return the files that earlier runs brought and that are still here, by their sizes."""
    try:
        content = json.loads((out / RECORD_FILE).read_text(encoding="utf-8"))
        listed = {(entry["name"], entry["md5"]) for entry in content["files"]}
    except (OSError, ValueError, TypeError, KeyError):
        return set()
    return {
        file
        for file in record.files
        if (file.name, file.md5) in listed
        and (out / file.name).is_file()
        and (out / file.name).stat().st_size == file.size
    }
