"""A Zenodo record as the REST API describes it, and requests that bear with a busy server."""

import contextlib
import json
import re
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests

from avmit import AvmitError
from conversion.release.archives import is_archive
from conversion.zenodo.retry import (
    BRIEF,
    Interrupted,
    Retry,
    insist,
    open_session,
    request,
    silent,
    status_of,
)

BASE = "https://zenodo.org"
RECORD = "8253350"
"""The record of the AVMIT release."""

KINDS = ("annotations", "vggish_vgg16", "yamnet_effnet")

_SETS = {
    "vggish_vgg16": re.compile(r"vgg"),
    "yamnet_effnet": re.compile(r"yamnet|eff(icient)?[-_ ]?net"),
}
_MD5 = re.compile(r"md5:([0-9a-f]{32})", re.IGNORECASE)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a record; `md5` is in lower-case hex."""

    name: str
    size: int
    md5: str

    @property
    def kind(self) -> str | None:
        """What the file is, by its name."""
        return kind_of(self.name)


@dataclass(frozen=True)
class ZenodoRecord:
    """A published record of the server at `base`."""

    base: str
    id: str
    doi: str
    title: str
    publication_date: str
    version: str | None
    licence: str | None
    files: tuple[RemoteFile, ...]

    @property
    def page(self) -> str:
        """The address of the record's page on zenodo.org, whatever `base` is."""
        return f"{BASE}/records/{self.id}"

    def content_url(self, file: RemoteFile) -> str:
        """Return where a file's bytes are."""
        return f"{self.base}/api/records/{self.id}/files/{quote(file.name, safe='')}/content"


def kind_of(name: str) -> str | None:
    """Return which of KINDS a file is, or None for one whose name does not tell."""
    lower = name.lower()
    if lower.endswith(".csv"):
        return "annotations"
    kinds = [kind for kind, words in _SETS.items() if words.search(lower)]
    return kinds[0] if len(kinds) == 1 and is_archive(Path(name)) else None


def read_record(
    record: str = RECORD,
    base: str = BASE,
    retry: Retry = BRIEF,
    say: Callable[[str], None] = silent,
) -> ZenodoRecord:
    """Read a record from the Zenodo server at `base`; `say` hears of attempts that failed.

    Raises:
        AvmitError: there is no such record or no connection, or the answer is of an unknown layout.
    """
    if not (record.isascii() and record.isdigit()):
        raise AvmitError(
            f"'{record}' is not the number of a Zenodo record: give one such as {RECORD}"
        )
    base = _checked_base(base)
    url = f"{base}/api/records/{record}"
    with open_session() as session:
        body = insist(f"record {record}", lambda: _record_body(session, url, retry), retry, say)
    try:
        content = json.loads(body)
    except ValueError:
        start = body[:80].decode("utf-8", "replace")
        raise AvmitError(f"{url} answers {start!r}, which is not JSON: check --base-url") from None
    return _parse(_Node(content, "the answer", url), base)


def _record_body(session: requests.Session, url: str, retry: Retry) -> bytes:
    with request(session, url, retry, {"Accept": "application/json"}) as response:
        if response.status_code in (404, 410):
            raise AvmitError(f"there is no record at {url}: check --record and --base-url")
        if response.status_code != 200:
            raise AvmitError(
                f"{url} answers {status_of(response)}: see whether the record is open to all"
            )
        with contextlib.suppress(requests.RequestException):
            body = response.content
            # urllib3 before 2 raises nothing when a body ends early.
            if not response.raw.length_remaining:
                return body
        raise Interrupted(f"the connection to {urlsplit(url).netloc} was lost")


def _checked_base(base: str) -> str:
    try:
        parts = urlsplit(base)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise AvmitError(f"--base-url '{base}' is not a web address: give one such as {BASE}")
    return base.rstrip("/")


@dataclass(frozen=True)
class _Node:
    """A value of the answer, with where in it the value stands."""

    value: object
    path: str
    url: str

    def unknown(self, what: str) -> AvmitError:
        return AvmitError(
            f"{self.url}: {self.path} {what}: not a layout that this version knows; "
            "look for a newer avmit, or fetch the files by hand from the record's page"
        )

    def find(self, key: str) -> "_Node | None":
        if not isinstance(self.value, dict):
            raise self.unknown(f"is {_show(self.value)}, not an object")
        if self.value.get(key) is None:
            return None
        return _Node(self.value[key], f"{self.path}.{key}", self.url)

    def get(self, key: str) -> "_Node":
        found = self.find(key)
        if found is None:
            assert isinstance(self.value, dict)
            raise self.unknown(f"has no {key!r}, only {_show(sorted(self.value))}")
        return found

    def items(self) -> "Iterator[_Node]":
        if not isinstance(self.value, list):
            raise self.unknown(f"is {_show(self.value)}, not a list")
        for index, value in enumerate(self.value):
            yield _Node(value, f"{self.path}[{index}]", self.url)

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.unknown(f"is {_show(self.value)}, not text")
        return self.value

    def number(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.unknown(f"is {_show(self.value)}, not a whole number")
        return self.value


def _show(value: object) -> str:
    shortened = reprlib.Repr()
    shortened.maxstring = 80
    shortened.maxlist = 20
    return shortened.repr(value)


def _parse(answer: _Node, base: str) -> ZenodoRecord:
    identifier = answer.get("id")
    if not re.fullmatch(r"[0-9]+", str(identifier.value)):
        raise identifier.unknown(f"is {_show(identifier.value)}, not a record's number")
    metadata = answer.get("metadata")
    version = metadata.find("version")
    licence = metadata.find("license")
    licence_id = None if licence is None else licence.find("id")
    files = answer.get("files")
    remote = tuple(map(_parse_file, files.items()))
    if not remote:
        raise AvmitError(f"{answer.url} has no files that are open to all: check --record")
    names = [file.name for file in remote]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise files.unknown(f"has {_show(twice[0])} more than once")
    return ZenodoRecord(
        base=base,
        id=str(identifier.value),
        doi=answer.get("doi").text(),
        title=metadata.get("title").text(),
        publication_date=metadata.get("publication_date").text(),
        version=None if version is None else version.text(),
        licence=None if licence_id is None else licence_id.text(),
        files=remote,
    )


def _parse_file(entry: _Node) -> RemoteFile:
    key = entry.get("key")
    name = key.text()
    # A leading dot would also make it one of the names that a download keeps its own files under.
    if not name or name.startswith(".") or set(name) & set("/\\") or not name.isprintable():
        raise key.unknown(f"is {_show(name)}, not a plain file name")
    checksum = entry.get("checksum")
    md5 = _MD5.fullmatch(checksum.text())
    if md5 is None:
        raise checksum.unknown(f"is {_show(checksum.value)}, not an md5")
    return RemoteFile(name, entry.get("size").number(), md5[1].lower())
