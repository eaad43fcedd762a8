"""`avmit silent`: the videos whose audio embeddings are those of digital silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import printable, some
from experiments.silent.config import AudioConfig, Matrix, open_config
from experiments.silent.survey import Progress, Survey, digest_of, distance, survey, tell

_HOW = (
    "pass --like OTHER_DIR/CONFIG, what `avmit extract` makes of a video without sound by the same "
    "encoder"
)


@dataclass(frozen=True)
class Silent:
    """The silent videos of a config of so many `videos`, in its order.

    `how` says by what they were found, and `note` what is to be looked at, if anything.
    """

    config: str
    videos: int
    filenames: list[str]
    how: str
    note: str = ""


def find_silent(
    package: Path,
    config: str,
    like: Path | None = None,
    tolerance: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> Silent:
    """Find the videos whose audio is that of digital silence.

    That is the audio of the videos that `like`, or else the config itself, knows to have none; or
    else the one matrix that stands more than once, byte for byte: three seconds of zeros were
    embedded for every video without an audio stream.

    Args:
        package: folder of the package.
        config: its config.
        like: `OTHER_DIR/CONFIG`, a config of the same encoder with videos that it knows to have no
            audio, or with one matrix alone, that of silence.
        tolerance: how far values may be from those of silence that is known, over the largest of
            them; 0 for equal bytes.
        progress: told how far it is.

    Raises:
        AvmitError: there is no such config, nothing tells what silence is like, or no video has it.
    """
    if not 0 <= tolerance < 1:
        raise AvmitError(f"--tolerance {tolerance}: it is a share of the largest value, under 1")
    ours = open_config(package, config)
    silence = None if like is None else _silence_of(like, ours)
    found = survey(ours, progress)
    marked: set[int] = set() if silence is not None else found.marked
    if silence is None and not marked:
        if tolerance:
            raise AvmitError(f"--tolerance is of silence that is known: {_HOW}")
        digest, note = _repeated(config, found)
        count = found.seen[digest].count
        how = f"one matrix that {count:,} videos share, byte for byte"
        return _result(ours, found, _of(found, {digest}), how, note)
    known = found.silence if silence is None else silence
    numbers = _of(found, known) | marked
    how = "has_audio, and the audio of those videos" if silence is None else f"the audio of {like}"
    if tolerance or not numbers:
        near = _near(ours, known, progress)
        numbers |= set(np.flatnonzero(near <= tolerance).tolist())
        if not numbers:
            raise _none_like(config, like, found, near)
    return _result(ours, found, numbers, how, "")


def _of(found: Survey, digests: Mapping[bytes, Matrix] | set[bytes]) -> set[int]:
    return {number for number, digest in enumerate(found.digests) if digest in digests}


def _result(config: AudioConfig, found: Survey, numbers: set[int], how: str, note: str) -> Silent:
    names = [found.names[number] for number in sorted(numbers)]
    return Silent(config.manifest.config, len(found.names), names, how, note)


def _silence_of(like: Path, ours: AudioConfig) -> dict[bytes, Matrix]:
    """Return the matrices of silence in another config."""
    theirs = open_config(like.parent, like.name)
    if theirs.width != ours.width:
        raise AvmitError(
            f"{like} has audio of width {theirs.width}, not {ours.width}: name a config of the "
            "same encoder"
        )
    found = survey(theirs, lambda done, total: None)
    if found.silence:
        return found.silence
    if len(found.seen) != 1:
        raise AvmitError(
            f"{like} has no video that it knows to have no audio, and {len(found.seen):,} "
            "different matrices: name a config that `avmit extract` made of a video without sound"
        )
    audio = next(iter(theirs.clips())).audio.copy()
    return {digest_of(audio): audio}


def _repeated(config: str, found: Survey) -> tuple[bytes, str]:
    """Return the one matrix that is repeated, by its digest, and a note on it."""
    repeated = {digest: seen for digest, seen in found.seen.items() if seen.count > 1}
    if not repeated:
        raise AvmitError(
            f"no two of the {len(found.names):,} videos of {config} have the same audio, so that "
            f"nothing tells what silence is like: {_HOW}"
        )
    steady = [digest for digest, seen in repeated.items() if seen.steady]
    if len(repeated) == 1:
        (digest,) = repeated
        unlike = (
            ""
            if steady
            else "its timesteps differ, and those of silence are the same by most encoders: listen "
            f"to one of these videos, or {_HOW}"
        )
        return digest, unlike
    if len(steady) == 1:
        others = len(repeated) - 1
        are = "another matrix is" if others == 1 else f"{others:,} other matrices are"
        return steady[0], (
            f"{are} shared by videos too, whose timesteps differ: those are taken for the same "
            "sound twice"
        )
    most = sorted(repeated.values(), key=lambda seen: (-seen.count, seen.first))
    shared = [f"{seen.count:,} as {printable(found.names[seen.first])}" for seen in most]
    raise AvmitError(
        f"{len(repeated):,} matrices are shared by videos of {config} ({some(shared)}), and which "
        f"is that of silence is not known: {_HOW}"
    )


def _near(
    ours: AudioConfig, known: Mapping[bytes, Matrix], progress: Progress
) -> npt.NDArray[np.float64]:
    """Return how far each video's audio is from the nearest of these."""
    total = ours.videos
    near = np.full(total, np.inf)
    for number, clip in enumerate(ours.clips()):
        near[number] = min(distance(clip.audio, one) for one in known.values())
        tell(progress, number, total)
    return near


def _none_like(
    config: str, like: Path | None, found: Survey, near: npt.NDArray[np.float64]
) -> AvmitError:
    """Say that nothing is like silence, and what is least unlike."""
    least = int(near.argmin()) if len(near) else 0
    if not len(near) or not np.isfinite(near[least]):
        nearest = "and none as many timesteps: name a config of the same encoder"
    else:
        nearest = (
            f"byte for byte; the nearest, {printable(found.names[least])}, is {near[least]:.2g} of "
            "its largest value away: pass --tolerance if that is silence by another version of the "
            "encoder"
        )
    return AvmitError(
        f"none of the {len(near):,} videos of {config} has the audio of {like} {nearest}"
    )
