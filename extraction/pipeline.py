"""From video files to embeddings: decoding in threads, ahead of the network.

Threads do, because OpenCV, FFmpeg, resampy's loop and TensorFlow all work without Python's lock.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from extraction import media
from extraction.encoder import Encoder, Frames, Network, Sound
from extraction.keras_frames import BATCH
from extraction.media import BadVideo

Matrix = npt.NDArray[np.float32]

_AHEAD = 16
"""Videos decoded beyond two for each worker: about three batches, at 1 MB each."""


@dataclass(frozen=True)
class Embedded:
    """A video's embeddings, (T, width) each; None for a side that is not wanted."""

    has_audio: bool
    audio: Matrix | None
    visual: Matrix | None


Outcome = Embedded | BadVideo


@dataclass(frozen=True)
class Side:
    """An encoder with its network."""

    encoder: Encoder
    network: Network


@dataclass(frozen=True)
class Sides:
    """What is computed of each video; None for a side that is not wanted."""

    audio: Side | None
    visual: Side | None


def embed(
    videos: Sequence[Path | None], sides: Sides, workers: int, done: Sequence[int] = ()
) -> Iterator[Outcome]:
    """Yield the outcome of each video, in order; None stands for a missing file.

    Frames are put into batches one after the other, without regard to where a video ends, so the
    videos alone decide which frames meet in a batch. `done` has the visual timesteps of the first
    videos when those are known already: the others' outcomes are yielded, the same as if all were
    computed, for which at most one batch is computed again.
    """
    if sides.visual is None:
        for video in _decode_ahead(videos[len(done) :], sides, workers, skip_sound=0):
            if isinstance(video, BadVideo):
                yield video
            else:
                yield Embedded(video.has_audio, video.audio, None)
        return
    first, skipped_frames = _batch_start(done)
    # What was bad stays bad: it had no frames in the batch.
    again = [videos[index] if done[index] else None for index in range(first, len(done))]
    rest = [*again, *videos[len(done) :]]
    decoded = _decode_ahead(rest, sides, workers, skip_sound=len(again))
    outcomes = _embed_frames(decoded, sides.visual.network, skipped_frames)
    for _ in again:
        next(outcomes)
    yield from outcomes


def _batch_start(done: Sequence[int]) -> tuple[int, int]:
    """Return the video in which the first unfinished batch begins, and how many frames into it."""
    before = sum(done)
    start = before - before % BATCH
    video = len(done)
    while before > start:
        video -= 1
        before -= done[video]
    return video, start - before


@dataclass(frozen=True)
class _Decoded:
    has_audio: bool
    audio: Matrix | None
    frames: npt.NDArray[np.uint8] | None


def _embed_frames(
    videos: Iterable[_Decoded | BadVideo], network: Network, skipped_frames: int
) -> Iterator[Outcome]:
    """Run frames through the network, BATCH at a time, and put videos together again.

    The first video lacks its first `skipped_frames` embeddings.
    """
    waiting: deque[tuple[_Decoded | BadVideo, int]] = deque()
    frames: deque[npt.NDArray[np.uint8]] = deque()
    embeddings: deque[Matrix] = deque()

    def finished() -> Iterator[Outcome]:
        while waiting and waiting[0][1] <= len(embeddings):
            video, count = waiting.popleft()
            if isinstance(video, BadVideo):
                yield video
            else:
                rows = [embeddings.popleft() for _ in range(count)]
                visual = np.stack(rows) if rows else np.zeros((0, 0), np.float32)
                yield Embedded(video.has_audio, video.audio, visual)

    for video in videos:
        new = [] if isinstance(video, BadVideo) else list(_frames(video)[skipped_frames:])
        skipped_frames = 0
        waiting.append((_without_frames(video), len(new)))
        frames.extend(new)
        while len(frames) >= BATCH:
            embeddings.extend(network.encode(np.stack([frames.popleft() for _ in range(BATCH)])))
        yield from finished()
    if frames:
        embeddings.extend(network.encode(np.stack(frames)))
    yield from finished()


def _frames(video: _Decoded) -> npt.NDArray[np.uint8]:
    assert video.frames is not None
    return video.frames


def _without_frames(video: _Decoded | BadVideo) -> _Decoded | BadVideo:
    if isinstance(video, BadVideo):
        return video
    return _Decoded(video.has_audio, video.audio, None)


def _decode_ahead(
    videos: Sequence[Path | None], sides: Sides, workers: int, skip_sound: int
) -> Iterator[_Decoded | BadVideo]:
    """Decode videos in threads and yield them in order; the first `skip_sound` without sound."""
    pending: deque[Future[_Decoded | BadVideo]] = deque()
    pool = ThreadPoolExecutor(workers, "avmit-decode")
    try:
        for index, video in enumerate(videos):
            pending.append(pool.submit(_decode, video, sides, index >= skip_sound))
            if len(pending) > 2 * workers + _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(path: Path | None, sides: Sides, with_sound: bool) -> _Decoded | BadVideo:
    try:
        if path is None:
            raise BadVideo("is missing")
        frames = None
        if sides.visual is not None:
            taken = sides.visual.encoder.input
            assert isinstance(taken, Frames)
            frames = media.frames(path, taken.interval_ms, taken.side)
        if sides.audio is None:
            return _Decoded(media.has_audio(path), None, frames)
        if not with_sound:
            return _Decoded(False, None, frames)
        audio, has_audio = _hear(path, sides.audio)
        return _Decoded(has_audio, audio, frames)
    except BadVideo as bad:
        return bad.with_traceback(None)


def _hear(path: Path, side: Side) -> tuple[Matrix, bool]:
    # Here, in the threads: a network that takes one waveform a call cannot use all cores alone.
    assert isinstance(side.encoder.input, Sound)
    rate = side.encoder.input.rate
    samples, has_audio = media.waveform(path, rate)
    audio = side.network.encode(samples)
    if not len(audio):
        raise BadVideo(
            f"is too short: {side.encoder.name} gives nothing for {len(samples) / rate:.2f} s"
        )
    return audio, has_audio
