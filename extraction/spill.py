"""Keep what is computed of an unfinished shard, so that little is lost when a run is cut off."""

import contextlib
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from extraction.items import Matrix
from extraction.pipeline import Embedded, Outcome
from extraction.video_file import BadVideo

EVERY_SECONDS = 20.0
"""How often outcomes go to disk: a third of the minute that may be lost."""


class Spill:
    """The outcomes of a shard's first videos, in numbered files beside where it is built.

    `digest` identifies what the shard is made of; files of another digest are not read.
    """

    def __init__(self, shard: Path, digest: str):
        self._shard = shard
        self._digest = digest
        self._parts = 0
        self._kept: list[Outcome] = []
        self._since = time.monotonic()

    def read(self) -> Iterator[Outcome]:
        """Yield the outcomes that an earlier run kept, as far as their files are whole."""
        while (outcomes := self._read_part(self._part(self._parts))) is not None:
            self._parts += 1
            yield from outcomes
        self._since = time.monotonic()

    def keep(self, outcome: Outcome) -> None:
        """Take in the next outcome, and from time to time write those that are not on disk."""
        self._kept.append(outcome)
        if time.monotonic() - self._since >= EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet."""
        if self._kept:
            part = self._part(self._parts)
            temporary = part.with_suffix(".part")
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **_pack(self._kept, self._digest))
            temporary.replace(part)
            self._parts += 1
            self._kept = []
        self._since = time.monotonic()

    def drop(self) -> None:
        """Remove all files; the shard is finished."""
        for path in self._shard.parent.glob(f".{self._shard.name}.*.spill"):
            path.unlink(missing_ok=True)

    def _part(self, number: int) -> Path:
        return self._shard.with_name(f".{self._shard.name}.{number:05d}.spill")

    def _read_part(self, path: Path) -> list[Outcome] | None:
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                arrays = dict(content)
            if str(arrays["digest"]) == self._digest:
                return _unpack(arrays)
        return None


def _pack(outcomes: Sequence[Outcome], digest: str) -> dict[str, npt.NDArray[np.generic]]:
    reasons = [str(outcome) if isinstance(outcome, BadVideo) else "" for outcome in outcomes]
    good = [outcome for outcome in outcomes if isinstance(outcome, Embedded)]
    packed: dict[str, npt.NDArray[np.generic]] = {
        "digest": np.array(digest),
        "reasons": np.array(reasons),
        "has_audio": np.array([outcome.has_audio for outcome in good], bool),
        "items": np.array([outcome.items for outcome in good], np.int64).reshape(-1, 2),
    }
    for name in ("audio", "visual"):
        found = [getattr(outcome, name) for outcome in good]
        matrices = [matrix for matrix in found if matrix is not None]
        if matrices:
            packed[name] = np.concatenate(matrices)
            packed[f"{name}_steps"] = np.array([len(matrix) for matrix in matrices])
    return packed


def _unpack(arrays: dict[str, npt.NDArray[np.generic]]) -> list[Outcome]:
    has_audio = iter(arrays["has_audio"])
    items = iter(arrays["items"].tolist())
    audio, visual = _matrices(arrays, "audio"), _matrices(arrays, "visual")
    return [
        BadVideo(str(reason))
        if reason
        else Embedded(bool(next(has_audio)), next(audio), next(visual), tuple(next(items)))
        for reason in arrays["reasons"]
    ]


def _matrices(arrays: dict[str, npt.NDArray[np.generic]], name: str) -> Iterator[Matrix | None]:
    if name not in arrays:
        while True:
            yield None
    values = arrays[name].astype(np.float32, copy=False)
    yield from np.split(values, np.cumsum(arrays[f"{name}_steps"])[:-1])
