"""Keep what is computed of an unfinished shard, so that little is lost when a run is cut off."""

import io
import math
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conversion.whole import open_regular, write_whole
from extraction.encoders.arrays import Matrix
from extraction.encoders.settings import MODALITIES, Modality
from extraction.media.video_file import BadVideo
from extraction.pipeline.embed import Embedded, Outcome

EVERY_SECONDS = 20.0
"""How often outcomes go to disk: a third of the minute that may be lost."""

_NAMES = (
    "identity",
    "reasons",
    "has_audio",
    "items",
    *MODALITIES,
    *(f"{name}_steps" for name in MODALITIES),
)
_UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, RecursionError),
    *(SyntaxError, MemoryError, NotImplementedError, RuntimeError, zipfile.BadZipFile),
)
"""What reading a file that anybody may have written raises."""


class Spill:
    """The outcomes of a shard's first videos, in numbered files beside where it is built.

    `digest` identifies what the shard, of `videos` videos, is made of; files of another digest are
    not read, nor are any that we cannot have written.
    """

    def __init__(self, shard: Path, digest: str, videos: int):
        self._shard = shard
        self.digest = digest
        self._videos = videos
        self._done = 0
        self._parts = 0
        self._kept: list[Outcome] = []
        self._since = time.monotonic()

    def read(self) -> Iterator[Outcome]:
        """Yield the outcomes that an earlier run kept, as far as their files are whole."""
        while (outcomes := self._next()) is not None:
            self._done += len(outcomes)
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
            content = io.BytesIO()
            # Before NumPy 2.1, `allow_pickle` would be an array of that name; none holds objects.
            arrays: dict[str, Any] = _pack(self._kept, self._identity)
            np.savez(content, **arrays)
            self._write(content.getvalue(), len(self._kept))
            self._done += len(self._kept)
            self._kept = []
        self._since = time.monotonic()

    def drop(self) -> None:
        """Remove all files; the shard is finished."""
        for path in self._shard.parent.glob(f".{self._shard.name}.*.spill"):
            path.unlink(missing_ok=True)

    @property
    def _identity(self) -> str:
        """What the next part is of: behind a part that was damaged and made anew, none may stay."""
        return f"{self.digest} from {self._done}"

    def _next(self) -> list[Outcome] | None:
        """Return the outcomes of the next part that is there, or None."""
        outcomes = self._read_part(self._part(self._parts))
        self._parts += outcomes is not None
        return outcomes

    def _write(self, data: bytes, outcomes: int) -> None:
        """Write the next part, of so many outcomes."""
        write_whole(self._part(self._parts), data)
        self._parts += 1

    def _part(self, number: int) -> Path:
        return self._shard.with_name(f".{self._shard.name}.{number:05d}.spill")

    def _read_part(self, path: Path) -> list[Outcome] | None:
        try:
            with open_regular(path) as file, zipfile.ZipFile(file) as archive:
                if str(_array(archive, "identity")) != self._identity:
                    return None
                outcomes = _unpack(_arrays(archive))
        except _UNREADABLE:
            return None
        return outcomes if self._done + len(outcomes) <= self._videos else None


def _arrays(archive: zipfile.ZipFile) -> dict[str, npt.NDArray[Any]]:
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    if len(names) > len(_NAMES) or not {*names} <= {*_NAMES}:
        raise ValueError("there are other arrays in it")
    return {name: _array(archive, name) for name in names}


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Read an array that takes no more memory than it does in the file, as `np.savez` writes it.

    Raises:
        ValueError: it is written in another way.
    """
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    content = io.BytesIO(archive.read(member))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"{name} has another version")
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(content)
    values = content.getbuffer()[content.tell() :]
    whole = math.prod(shape) * dtype.itemsize == len(values)
    if (
        by_column
        or dtype.kind not in "Ubif"
        or not whole
        or max(shape, default=0) > member.file_size
    ):
        raise ValueError(f"{name} is no array of ours")
    return np.frombuffer(values, dtype).reshape(shape) if len(values) else np.zeros(shape, dtype)


def _pack(outcomes: Sequence[Outcome], identity: str) -> dict[str, npt.NDArray[Any]]:
    reasons = [str(outcome) if isinstance(outcome, BadVideo) else "" for outcome in outcomes]
    good = [outcome for outcome in outcomes if isinstance(outcome, Embedded)]
    packed: dict[str, npt.NDArray[Any]] = {
        "identity": np.array(identity),
        "reasons": np.array(reasons),
        "has_audio": np.array([outcome.has_audio for outcome in good], bool),
        "items": np.array(
            [[outcome.counts.get(name, 0) for name in MODALITIES] for outcome in good], np.int64
        ).reshape(-1, 2),
    }
    for name in MODALITIES:
        matrices = [one.embeddings[name] for one in good if name in one.embeddings]
        if matrices:
            packed[name] = np.concatenate(matrices)
            packed[f"{name}_steps"] = np.array([len(matrix) for matrix in matrices])
    return packed


def _unpack(arrays: dict[str, npt.NDArray[Any]]) -> list[Outcome]:
    """Return the outcomes that `_pack` packed.

    Raises:
        ValueError: the arrays do not belong together.
    """
    _check(arrays)
    has_audio = iter(arrays["has_audio"])
    items = iter(arrays["items"].tolist())
    found = {name: _matrices(arrays, name) for name in MODALITIES if name in arrays}
    return [
        BadVideo(str(reason))
        if reason
        else Embedded(
            bool(next(has_audio)),
            {name: next(matrices) for name, matrices in found.items()},
            dict(zip(MODALITIES, next(items), strict=True)),
        )
        for reason in arrays["reasons"]
    ]


def _check(arrays: dict[str, npt.NDArray[Any]]) -> None:
    good = sum(not reason for reason in arrays["reasons"].tolist())
    counts = [arrays["items"], *(arrays[f"{name}_steps"] for name in MODALITIES if name in arrays)]
    sound = arrays["reasons"].ndim == 1 and arrays["has_audio"].shape == (good,)
    sound &= all(len(one) == good and one.dtype.kind == "i" and (one >= 0).all() for one in counts)
    sound &= arrays["items"].shape == (good, 2)
    for name in MODALITIES:
        sound &= (name in arrays) == (f"{name}_steps" in arrays)
        if name in arrays:
            steps = arrays[f"{name}_steps"]
            shape = (steps.sum(), *arrays[name].shape[1:])
            sound &= steps.ndim == 1 and arrays[name].shape == shape and len(shape) == 2
    if not sound:
        raise ValueError("the arrays do not belong together")


def _matrices(arrays: dict[str, npt.NDArray[Any]], name: Modality) -> Iterator[Matrix]:
    values = arrays[name].astype(np.float32, copy=False)
    return iter(np.split(values, np.cumsum(arrays[f"{name}_steps"])[:-1]))
