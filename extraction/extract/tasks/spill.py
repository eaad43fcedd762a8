"""What is computed of an unfinished shard, where tasks on several machines may be at it."""

import re
from collections.abc import Callable
from pathlib import Path

from conversion.whole import write_whole
from extraction.extract.checkpoint import Spill
from extraction.pipeline.embed import Outcome

_PART = re.compile(r"(?P<start>\d{1,9})-(?P<end>\d{1,9})\.[\w-]+\.spill")


class MadeElsewhere(Exception):
    """Another task has finished the shard meanwhile."""


class SharedSpill(Spill):
    """The outcomes of a shard's videos, in files called by the first and the number after the last.

    A task reads everybody's files, along the way that leads furthest, and writes its own, under
    names with its `token`: nobody waits for anybody, and nothing is written twice or moved.
    `is_made` is asked from time to time whether another task has finished the shard.
    """

    def __init__(
        self, folder: Path, token: str, digest: str, videos: int, is_made: Callable[[], bool]
    ):
        super().__init__(folder, digest, videos)
        self._folder = folder
        self._token = token
        self._is_made = is_made
        self._there: dict[tuple[int, int], list[Path]] | None = None

    def keep(self, outcome: Outcome) -> None:
        """Take in the next outcome.

        Raises:
            MadeElsewhere: nobody needs it any more.
        """
        before = self._done
        super().keep(outcome)
        if self._done > before and self._is_made():
            raise MadeElsewhere

    def drop(self) -> None:
        """Leave the files to whoever else is at the shard; they go when it is finished."""

    def _next(self) -> list[Outcome] | None:
        if self._there is None:
            self._there = self._listed()
        while ends := [end for start, end in self._there if start == self._done]:
            reach = self._reach()
            end = max(ends, key=lambda end: reach.get(end, end))
            paths = self._there[self._done, end]
            outcomes = self._read_part(paths.pop())
            if not paths:
                del self._there[self._done, end]
            if outcomes is not None and len(outcomes) == end - self._done:
                return outcomes
        return None

    def _reach(self) -> dict[int, int]:
        """Return how far the parts lead from each video that one of them begins with."""
        assert self._there is not None
        reach: dict[int, int] = {}
        for start, end in sorted(self._there, reverse=True):
            reach[start] = max(reach.get(start, 0), reach.get(end, end))
        return reach

    def _listed(self) -> dict[tuple[int, int], list[Path]]:
        found: dict[tuple[int, int], list[Path]] = {}
        try:
            paths = sorted(self._folder.iterdir())
        except OSError:
            return found
        for path in paths:
            match = _PART.fullmatch(path.name)
            if match and int(match["start"]) < int(match["end"]) <= self._videos:
                found.setdefault((int(match["start"]), int(match["end"])), []).append(path)
        return found

    def _write(self, data: bytes, outcomes: int) -> None:
        name = f"{self._done:07d}-{self._done + outcomes:07d}.{self._token}.spill"
        # Whoever finishes the shard removes the folder, which may be at any moment.
        for _ in range(3):
            try:
                self._folder.mkdir(exist_ok=True)
                write_whole(self._folder / name, data)
            except FileNotFoundError:
                continue
            return
