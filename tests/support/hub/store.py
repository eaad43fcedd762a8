"""What a loopback Hub keeps: repositories, whose commits are whole trees of files."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

GITATTRIBUTES = "".join(
    f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n"
    for suffix in ("arrow", "parquet", "npy", "npz", "zip", "gz", "bin", "h5", "mp4")
)
LFS_SIZE = 10 * 1024 * 1024  # larger files are LFS whatever their name is


class Missing(Exception):
    """Something that was named is not there; `code` is what the Hub calls that."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class File:
    """A file of a tree: its content, or for LFS the path or bytes that it stands for."""

    size: int
    oid: str  # git's id: of the content, or of an LFS file's pointer
    content: bytes | Path
    sha256: str | None = None  # of LFS files

    @property
    def pointer_size(self) -> int:
        assert self.sha256
        return len(_pointer(self.sha256, self.size))

    def read(self, start: int, stop: int) -> bytes:
        if isinstance(self.content, bytes):
            return self.content[start:stop]
        with self.content.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)


def regular(content: bytes) -> File:
    return File(len(content), _git_oid(content), content)


def lfs(content: bytes | Path, sha256: str = "") -> File:
    """Make an LFS file; its hash is computed where it is not given."""
    if isinstance(content, bytes):
        size, sha256 = len(content), sha256 or hashlib.sha256(content).hexdigest()
    else:
        size = content.stat().st_size
        if not sha256:
            with content.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return File(size, _git_oid(_pointer(sha256, size)), content, sha256)


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _pointer(sha256: str, size: int) -> bytes:
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    description: str
    author: str
    files: Mapping[str, File]


@dataclass
class Repository:
    """One repository, with a first commit as the Hub makes it."""

    id: str
    type: str = "dataset"
    private: bool = False
    refs: dict[str, str] = field(default_factory=dict)  # such as refs/heads/main
    commits: dict[str, Commit] = field(default_factory=dict)
    authors: dict[str, str] = field(default_factory=dict)  # of pull requests, by ref

    def __post_init__(self) -> None:
        self.add("refs/heads/main", {}, {".gitattributes": regular(GITATTRIBUTES.encode())})

    def add(
        self,
        ref: str,
        before: Mapping[str, File],
        changes: Mapping[str, File | None],
        title: str = "initial commit",
        description: str = "",
        author: str = "system",
    ) -> Commit:
        """Put a commit at the tip of `ref`: the files `before` with `changes`; None deletes."""
        files = {**before, **changes}
        kept = {path: file for path, file in sorted(files.items()) if file is not None}
        parent = self.refs.get(ref)
        text = f"{len(self.commits)} {ref} {parent} {title} {[(p, f.oid) for p, f in kept.items()]}"
        oid = hashlib.sha1(text.encode()).hexdigest()
        commit = Commit(oid, parent, title, description, author, kept)
        self.commits[oid] = commit
        self.refs[ref] = oid
        return commit

    def put(self, title: str, files: Mapping[str, bytes | Path | None]) -> Commit:
        """Commit on main as somebody else with a browser does, past every check of the API."""
        head = self.head()
        changes = {
            path: None
            if content is None
            else lfs(content)
            if is_lfs(head.files, path, 0)
            else regular(content if isinstance(content, bytes) else content.read_bytes())
            for path, content in files.items()
        }
        return self.add("refs/heads/main", head.files, changes, title, author="somebody")

    def head(self, revision: str = "main") -> Commit:
        """Raises Missing where there is no such revision."""
        ref = self.ref(revision)
        oid = self.refs.get(ref, revision)
        for known, commit in self.commits.items():
            if known.startswith(oid) and len(oid) >= 7:
                return commit
        raise Missing("RevisionNotFound", f"Invalid rev id: {revision}")

    def ref(self, revision: str) -> str:
        return revision if revision.startswith("refs/") else f"refs/heads/{revision}"

    def history(self, revision: str = "main") -> Iterator[Commit]:
        """The commits of a revision, the newest first."""
        commit: Commit | None = self.head(revision)
        while commit:
            yield commit
            commit = self.commits.get(commit.parent or "")

    def open_request(self, base: Commit, author: str) -> str:
        ref = f"refs/pr/{1 + len(self.authors)}"
        self.refs[ref] = base.oid
        self.authors[ref] = author
        return ref

    def text(self, path: str, revision: str = "main") -> str:
        file = self.head(revision).files[path]
        return file.read(0, file.size).decode()


def is_lfs(files: Mapping[str, File], path: str, size: int) -> bool:
    """Tell whether the tree's .gitattributes, or the size, makes a file an LFS one."""
    attributes = files.get(".gitattributes")
    text = attributes.read(0, attributes.size).decode() if attributes else ""
    suffixes = re.findall(r"^\*(\.\w+) filter=lfs", text, re.MULTILINE)
    return size > LFS_SIZE or path.endswith(tuple(suffixes))
