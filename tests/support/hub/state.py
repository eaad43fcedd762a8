"""What a loopback Hub knows, and the form of what comes in and goes out."""

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from support.hub.store import Commit, Repository


@dataclass(frozen=True)
class Account:
    """Whom a token stands for; a fine-grained token has no right that is not named."""

    name: str
    role: str = "write"  # or read, fineGrained
    permissions: tuple[str, ...] = ()  # of a fine-grained token, such as repo.write
    orgs: tuple[str, ...] = ()


# ann owns what is under ann/, bob what is under bob/.
TOKENS = {
    "hf_annwrites": Account("ann", orgs=("lab",)),
    "hf_annreads": Account("ann", "read", orgs=("lab",)),
    "hf_annfinedenied": Account("ann", "fineGrained"),
    "hf_annfine": Account("ann", "fineGrained", ("repo.content.read", "repo.write")),
    "hf_bobwrites": Account("bob"),
}


@dataclass
class Request:
    """What came in and went out; `received` and `sent` count the bytes of the two bodies."""

    method: str
    path: str  # as sent, without the query
    query: str
    headers: Message
    status: int = 0
    received: int = 0
    sent: int = 0


@dataclass
class Answer:
    """`length` is stated where only headers are sent; `read` gives a part of a long body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    read: Callable[[int, int], bytes] | None = None

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> "Answer":
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        body = json.dumps(value).encode()
        return cls(status, {"Content-Type": "application/json", **sent}, body)

    @classmethod
    def error(cls, status: int, message: str, code: str = "") -> "Answer":
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        return cls(status, headers, json.dumps({"error": message}).encode())


@dataclass
class Hub:
    """Repositories by type and name, and the blobs of their LFS files by sha256.

    `accounts` are by token; `page` is the number of entries in a page of a tree.
    """

    url: str = ""
    accounts: dict[str, Account] = field(default_factory=lambda: dict(TOKENS))
    page: int = 1000
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    blobs: dict[str, bytes | Path] = field(default_factory=dict)
    secret: str = field(default_factory=secrets.token_hex)  # signs links to blobs
    lock: threading.Lock = field(default_factory=threading.Lock)  # held while a commit is made

    @property
    def storage(self) -> str:
        """Where LFS blobs are: another host than the Hub's, which must not see the token."""
        return self.url.replace("127.0.0.1", "localhost") + "/storage"

    def create(self, name: str, type: str = "dataset", private: bool = False) -> Repository:
        """Make a repository with the first commit."""
        repository = Repository(name, type, private)
        self.repositories[type, name] = repository
        return repository

    def put(
        self, name: str, files: Mapping[str, bytes | Path | None], title: str = "Put"
    ) -> Commit:
        """Commit on a dataset's main branch as somebody else with a browser does; None deletes."""
        commit = self.dataset(name).put(title, files)
        for file in commit.files.values():
            if file.sha256:
                self.blobs[file.sha256] = file.content
        return commit

    def put_folder(self, name: str, folder: Path) -> Commit:
        """Make a dataset of a folder's files, which are served from where they are."""
        self.create(name)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return self.put(name, {path.relative_to(folder).as_posix(): path for path in paths})

    def dataset(self, name: str) -> Repository:
        return self.repositories["dataset", name]
