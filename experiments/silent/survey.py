"""What the audio of a config is like: which matrices stand in it, and how often."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from experiments.silent.config import AudioConfig, Matrix

Progress = Callable[[int, int], None]
"""Told of (videos read since the last call, videos in all)."""

_STEADY = 1e-4
"""The most that a matrix's timesteps differ, over its largest value, to be called the same."""
_MOST_KEPT = 16
"""More matrices than silence is embedded as, even by a network that computes in batches."""
_TOLD = 256
"""Videos from one time that progress is told of to the next."""


@dataclass
class Seen:
    """A matrix: how many videos have it, the first one's number, and whether its timesteps are the
    same, which is known of those that stand more than once.
    """

    first: int
    count: int = 0
    steady: bool = False


@dataclass
class Survey:
    """The videos of a config by number: their names, and digests of their audio.

    `marked` are those that it knows to have no audio, and `silence` the matrices of these.
    """

    names: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    seen: dict[bytes, Seen] = field(default_factory=dict)
    marked: set[int] = field(default_factory=set)
    silence: dict[bytes, Matrix] = field(default_factory=dict)


def survey(config: AudioConfig, progress: Progress) -> Survey:
    """Read the audio of a config once; of each video 16 bytes are kept, and its name.

    Raises:
        AvmitError: a shard cannot be read.
    """
    found = Survey()
    total = config.videos
    for number, clip in enumerate(config.clips()):
        digest = digest_of(clip.audio)
        found.names.append(clip.name)
        seen = found.seen.setdefault(digest, Seen(number))
        # The same object for the same matrix.
        found.digests.append(digest if seen.count == 0 else found.digests[seen.first])
        seen.count += 1
        if seen.count == 2:
            seen.steady = _is_steady(clip.audio)
        if clip.has_audio is False:
            found.marked.add(number)
            if len(found.silence) < _MOST_KEPT and digest not in found.silence:
                found.silence[digest] = clip.audio.copy()
        tell(progress, number, total)
    return found


def tell(progress: Progress, number: int, total: int) -> None:
    """Tell of progress now and then: a bar takes longer than a video."""
    if (number + 1) % _TOLD == 0 or number + 1 == total:
        progress((number % _TOLD) + 1, total)


def digest_of(audio: Matrix) -> bytes:
    """Return what tells a matrix, of the width of its config, from any other."""
    return sha256(np.ascontiguousarray(audio).data).digest()[:16]


def distance(audio: Matrix, silence: Matrix) -> float:
    """Return the largest difference over the largest value of `silence`; infinite if of other
    shapes, or if one is not finite.
    """
    if audio.shape != silence.shape:
        return np.inf
    largest = float(np.abs(silence).max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        apart = float(np.abs(audio - silence).max(initial=0.0)) / largest
    return apart if np.isfinite(apart) else np.inf


def _is_steady(audio: Matrix) -> bool:
    return len(audio) > 0 and distance(audio, np.broadcast_to(audio[0], audio.shape)) <= _STEADY
