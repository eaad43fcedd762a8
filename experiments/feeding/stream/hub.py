"""A package on the Hub at one commit, read by ranges."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from huggingface_hub import constants, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from huggingface_hub.utils.sha import git_hash

from avmit import AvmitError
from conversion.hub.client import Answer, BrokenAnswer, fetch
from conversion.hub.errors import explained
from conversion.hub.retry import Retry
from experiments.feeding.stream.source import LONGEST_TEXT, Missing, Source, logger

_TRIES = 6
_COMMIT = _BLOB = re.compile(r"[0-9a-f]{40}")


class HubSource(Source):
    """A dataset repository at `commit`, whatever becomes of its branches."""

    def __init__(self, repo_id: str, commit: str):
        self.name = f"'{repo_id}'"
        self.repo_id = repo_id
        self.commit = commit
        self._texts: dict[str, bytes | None] = {}
        self._links: dict[str, str] = {}
        self._lock = threading.Lock()
        self._retry = Retry(logger.info, attempts=_TRIES)

    @classmethod
    def at(cls, repo_id: str, revision: str | None, paths: list[str]) -> "HubSource":
        """Find the commit that `revision` is now, by default main's, with the texts at `paths`.

        They are asked for at once, since each answer says which commit it is of.

        Raises:
            AvmitError: there is no such repository, or the Hub cannot be reached.
        """
        if constants.HF_HUB_OFFLINE:
            raise AvmitError("HF_HUB_OFFLINE is set: unset it where there is a network")
        with explained(repo_id, revision):
            validate_repo_id(repo_id)
            first = cls(repo_id, revision or "main")
            with ThreadPoolExecutor(len(paths)) as pool:
                answers = list(pool.map(first._answer, paths))
        commits = {answer.commit for answer in answers if answer}
        if commits and None not in commits and len(commits) == 1:
            (commit,) = commits
            if commit and _COMMIT.fullmatch(commit):
                found = cls(repo_id, commit)
                contents = [bytes(answer.content) if answer else None for answer in answers]
                found._texts = dict(zip(paths, contents, strict=True))
                return found
        return cls(repo_id, first._pinned(revision))

    def _pinned(self, revision: str | None) -> str:
        """Ask which commit it is, where the answers did not agree on one."""
        from huggingface_hub import HfApi

        with explained(self.repo_id, revision):
            info = self._retry(partial(HfApi().dataset_info, self.repo_id, revision=revision))
        return str(info.sha)

    def text(self, path: str) -> bytes:
        """Return a small file."""
        if path not in self._texts:
            with explained(self.repo_id, self.commit):
                answer = self._answer(path)
            self._texts[path] = bytes(answer.content) if answer else None
        content = self._texts[path]
        if content is None:
            raise Missing(path)
        return content

    def _answer(self, path: str) -> Answer | None:
        try:
            return self._retry(partial(self._whole, path))
        except EntryNotFoundError:
            return None

    def _whole(self, path: str) -> Answer:
        answer = fetch(self._url(path), LONGEST_TEXT)
        etag = answer.headers.get("etag", "").strip('W/"')
        if _BLOB.fullmatch(etag) and git_hash(bytes(answer.content)) != etag:
            raise BrokenAnswer(f"{path} came with other bytes than the Hub has")
        return answer

    def read(self, path: str, start: int, length: int) -> bytes | bytearray:
        """Return a part of a file."""
        with explained(self.repo_id, self.commit):
            return self._retry(partial(self._range, path, start, length), doing=f"fetching {path}")

    def _range(self, path: str, start: int, length: int) -> bytes | bytearray:
        # A link to the Hub's storage serves many ranges, until it expires.
        with self._lock:
            link = self._links.get(path)
        asked = {"Range": f"bytes={start}-{start + length - 1}"}
        try:
            answer = fetch(link or self._url(path), length, asked, token=link is None)
        except Exception:
            if link is None:
                raise
            answer = fetch(self._url(path), length, asked)
        part = answer.headers.get("content-range", "").startswith(
            f"bytes {start}-{start + length - 1}/"
        )
        if answer.status != 206 or not part or len(answer.content) != length:
            raise BrokenAnswer(f"not bytes {start:,} to {start + length:,} of {path}")
        if answer.url != self._url(path):
            with self._lock:
                self._links[path] = answer.url
        return answer.content

    def _url(self, path: str) -> str:
        return hf_hub_url(self.repo_id, path, repo_type="dataset", revision=self.commit)

    def __getstate__(self) -> dict[str, Any]:
        return {"repo_id": self.repo_id, "commit": self.commit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
