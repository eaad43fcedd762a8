"""A dataset on the Hub at one commit: its files by name, read and checked byte for byte."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from huggingface_hub import constants, hf_hub_url
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from huggingface_hub.utils.sha import git_hash

from avmit import AvmitError
from conversion.hub.client import BrokenAnswer, Tell, fetch
from conversion.hub.retry import Retry
from conversion.wording import printable, some

RANGE = 16 * 1024 * 1024
"""How many bytes are asked for at a time: what is lost when a run is killed."""
LONGEST_TEXT = 64 * 1024 * 1024
"""The bytes of the longest file that is read as text."""

_LONGEST_LIST = 256 * 1024 * 1024
_TRIES = 6
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")


@dataclass(frozen=True)
class RemoteFile:
    """A file: its size in bytes, `sha256` that of an LFS file, `blob` git's id of any other."""

    size: int
    sha256: str | None
    blob: str

    def holds(self, content: bytes | bytearray) -> bool:
        """Tell whether it is the file's content."""
        if len(content) != self.size:
            return False
        if self.sha256:
            return hashlib.sha256(content).hexdigest() == self.sha256
        return git_hash(bytes(content)) == self.blob


@dataclass(frozen=True)
class Repository:
    """A dataset at `commit`, the full hash; `files` are by path, those of odd names left out."""

    repo_id: str
    commit: str
    private: bool
    files: Mapping[str, RemoteFile]
    retry: Retry

    def read(self, path: str) -> bytes:
        """Return a small file's content, which is what the commit has under that name.

        Raises:
            AvmitError: it is no small file.
            BrokenAnswer: other bytes came, each time.
        """
        file = self.files[path]
        if file.size > LONGEST_TEXT:
            raise AvmitError(
                f"{path} in '{self.repo_id}' has {file.size:,} bytes, too many for text: "
                "ask its owner to push it again"
            )
        return self.retry(partial(self._whole, path, file))

    def _whole(self, path: str, file: RemoteFile) -> bytes:
        content = bytes(fetch(self._url(path), file.size).content)
        if not file.holds(content):
            raise BrokenAnswer(f"{path} came with other bytes than the Hub lists")
        return content

    def pieces(
        self, path: str, start: int = 0, most: int | None = None, end: int | None = None
    ) -> Iterator[bytes | bytearray]:
        """Yield a file's content from byte `start` on, up to `end` if given, in pieces of RANGE, or
        of `most` bytes if that is less; its hash is not checked.

        Raises:
            BrokenAnswer: what came is not those bytes of a file, each time.
        """
        size = self.files[path].size
        longer = replace(self.retry, attempts=max(self.retry.attempts, _TRIES))
        end = size if end is None else end
        while start < end:
            stop = min(start + min(RANGE, most or RANGE), end)
            bring = partial(self._range, path, start, stop, size)
            yield longer(bring, doing=f"fetching {path}")
            start = stop

    def _range(self, path: str, start: int, stop: int, size: int) -> bytes | bytearray:
        asked = {"Range": f"bytes={start}-{stop - 1}"}
        answer = fetch(self._url(path), stop - start, asked, self.retry.pause)
        whole = answer.status == 200 and stop - start == size
        wanted = f"bytes {start}-{stop - 1}/"
        part = answer.status == 206 and answer.headers.get("content-range", "").startswith(wanted)
        if not (whole or part) or len(answer.content) != stop - start:
            raise BrokenAnswer(f"not bytes {start:,} to {stop:,} of {path}")
        return answer.content

    def _url(self, path: str) -> str:
        return hf_hub_url(self.repo_id, path, repo_type="dataset", revision=self.commit)


def open_repository(repo_id: str, revision: str | None, retry: Retry) -> Repository:
    """Find the commit that `revision` is now, by default that of main, and list its files.

    What the Hub names otherwise than a file in a folder can be named, such as `../x`, is left out,
    and told.

    Raises:
        BrokenAnswer: the Hub's answers make no sense.
        Exception: those of `huggingface_hub`, such as RepositoryNotFoundError.
    """
    validate_repo_id(repo_id)
    root = f"{constants.ENDPOINT}/api/datasets/{repo_id}"
    where = f"{root}/revision/{quote(revision, safe='')}" if revision else root
    commit, private, names = retry(partial(_info, where))
    files = retry(partial(_tree, f"{root}/tree/{commit}?recursive=True&expand=False", names))
    _tell_odd(sorted(path for path in files if not _is_plain(path)), repo_id, retry.tell)
    plain = {path: file for path, file in files.items() if _is_plain(path)}
    return Repository(repo_id, commit, private, plain, retry)


def _info(url: str) -> tuple[str, bool, set[str]]:
    """Return the commit's hash, whether the dataset is private, and the names of its files."""
    content = _json(fetch(url, _LONGEST_LIST).content)

    def parse() -> tuple[str, bool, set[str]]:
        commit, private = content["sha"], content["private"]
        names = {str(sibling["rfilename"]) for sibling in content.get("siblings") or ()}
        if not _COMMIT.fullmatch(commit) or not isinstance(private, bool):
            raise ValueError("no commit's hash")
        return commit, private, names

    return _taken_apart(parse)


def _tree(url: str, names: set[str]) -> dict[str, RemoteFile]:
    """Return all files; `names` are those that must be among them."""
    files: dict[str, RemoteFile] = {}
    cursor: str | None = ""
    seen = {cursor}
    while cursor is not None:
        page = fetch(f"{url}&cursor={cursor}" if cursor else url, _LONGEST_LIST)
        entries = _json(page.content)
        files.update(_taken_apart(partial(_files, entries)))
        cursor = page.cursor
        if cursor in seen:
            raise BrokenAnswer("the list of files has no end")
        seen.add(cursor)
    lacking = names - files.keys()
    if lacking:
        raise BrokenAnswer(f"the list of files lacks {min(lacking)}")
    return files


def _files(entries: Any) -> dict[str, RemoteFile]:
    if not isinstance(entries, list):
        raise TypeError("no list of files")
    return {entry["path"]: _file(entry) for entry in entries if entry["type"] == "file"}


def _file(entry: Any) -> RemoteFile:
    size, blob, lfs = entry["size"], entry["oid"], entry.get("lfs")
    sha256 = lfs["oid"] if lfs else None
    if not isinstance(entry["path"], str) or type(size) is not int or size < 0:
        raise ValueError("a file without name and size")
    if not _COMMIT.fullmatch(blob) or (lfs and not _SHA256.fullmatch(lfs["oid"])):
        raise ValueError("a file without its hash")
    return RemoteFile(size, sha256, blob)


def _json(content: bytes | bytearray) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BrokenAnswer(f"no JSON but {content[:40]!r}") from None


def _taken_apart(parse: Callable[[], T]) -> T:
    """Return what `parse` makes of JSON of any shape."""
    try:
        return parse()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise BrokenAnswer(f"JSON of another shape: {error}") from None


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return not {"", ".", ".."} & set(parts) and "\\" not in path and printable(path) == path


def _tell_odd(names: list[str], repo_id: str, tell: Tell) -> None:
    if names:
        tell(f"left out, as no file can be called so: {some(names)} in {repo_id}")
