"""From video files to embeddings: decoding in threads, ahead of the networks.

Threads do, because OpenCV, FFmpeg, resampy's loop, Pillow, TensorFlow and PyTorch all work without
Python's lock.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import Item, Items, Matrix, split
from extraction.encoders.base import Side, Sides, matrices
from extraction.encoders.foreign import no_exit
from extraction.media import forms as taking
from extraction.media.forms import Sound
from extraction.media.sound import has_audio
from extraction.media.video_file import BadVideo
from extraction.pipeline.batches import Batches, Done, batch_start

_AHEAD = 16
"""Videos decoded beyond two for each worker: about three batches, at 1 MB each."""


@dataclass(frozen=True)
class Embedded:
    """A video's embeddings, (T, width) each; None for a side that is not wanted.

    `items` counts what went into the batches of the audio and of the visual network.
    """

    has_audio: bool
    audio: Matrix | None
    visual: Matrix | None
    items: Done = (0, 0)


Outcome = Embedded | BadVideo


def embed(
    videos: Sequence[Path | None], sides: Sides, workers: int, done: Sequence[Done] = ()
) -> Iterator[Outcome]:
    """Yield the outcome of each video, in order; None stands for a missing file.

    Items are put into batches one after the other, without regard to where a video ends, so the
    videos alone decide which items meet in a batch. `done` has the items of the first videos when
    those are known already: the others' outcomes are yielded, the same as if all were computed,
    for which at most one batch of each network is computed again.
    """
    runs = [
        _Run(side, *batch_start([items[index] for items in done], side.network.batch))
        if side is not None
        else None
        for index, side in enumerate((sides.audio, sides.visual))
    ]
    first = min((run.first for run in runs if run is not None), default=len(done))
    # What was bad stays bad: it had no items in any batch.
    again = [videos[at] if any(done[at]) else None for at in range(first, len(done))]
    decoded = _decode_ahead([*again, *videos[len(done) :]], first, runs, workers)
    outcomes = _together(decoded, first, runs)
    try:
        for _ in again:
            next(outcomes)
        yield from outcomes
    finally:
        for run in runs:
            if run is not None:
                run.batches.close()


class _Run:
    """One side's network at work; what it needs of the videos before `first` is there already."""

    def __init__(self, side: Side, first: int, skipped: int):
        self.side = side
        self.first = first
        self.batches = Batches(side, skipped)


_Runs = Sequence[_Run | None]


_Found = list[Item] | Matrix | None
"""A side's items, or its embeddings where the network took the whole, or nothing."""


@dataclass(frozen=True)
class _Decoded:
    has_audio: bool
    sides: tuple[_Found, _Found]


def _together(videos: Iterator[_Decoded | BadVideo], first: int, runs: _Runs) -> Iterator[Outcome]:
    """Run items through the networks, and put videos together again."""
    waiting: deque[tuple[_Decoded | BadVideo, Done]] = deque()

    def finished() -> Iterator[Outcome]:
        while waiting and all(
            run is None or run.batches.ready(count)
            for run, count in zip(runs, waiting[0][1], strict=True)
        ):
            video, counts = waiting.popleft()
            if isinstance(video, BadVideo):
                yield video
                continue
            audio, visual = (
                _matrix(run, found, count)
                for run, found, count in zip(runs, video.sides, counts, strict=True)
            )
            yield Embedded(video.has_audio, audio, visual, counts)

    for number, video in enumerate(videos, first):
        counts = [0, 0]
        if not isinstance(video, BadVideo):
            for index, (run, found) in enumerate(zip(runs, video.sides, strict=True)):
                if run is not None and isinstance(found, list) and number >= run.first:
                    counts[index] = run.batches.add(found)
            video = _without_items(video)
        waiting.append((video, (counts[0], counts[1])))
        yield from finished()
    for run in runs:
        if run is not None:
            run.batches.finish()
    yield from finished()


def _matrix(run: _Run | None, found: _Found, count: int) -> Matrix | None:
    """Return the embeddings of one side of a video."""
    if isinstance(found, list):
        assert run is not None
        return run.batches.take(count)
    return found


def _without_items(video: _Decoded) -> _Decoded:
    audio, visual = video.sides
    return _Decoded(video.has_audio, (_emptied(audio), _emptied(visual)))


def _emptied(found: _Found) -> _Found:
    return [] if isinstance(found, list) else found


def _decode_ahead(
    videos: Sequence[Path | None], first: int, runs: _Runs, workers: int
) -> Iterator[_Decoded | BadVideo]:
    """Decode videos in threads and yield them in order; the number of the first is `first`."""
    pending: deque[Future[_Decoded | BadVideo]] = deque()
    pool = ThreadPoolExecutor(workers, "avmit-decode")
    try:
        for number, video in enumerate(videos, first):
            wanted = [run if run is not None and number >= run.first else None for run in runs]
            pending.append(pool.submit(_decode, video, wanted))
            if len(pending) > 2 * workers + _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(path: Path | None, runs: _Runs) -> _Decoded | BadVideo:
    try:
        if path is None:
            raise BadVideo("is missing")
        hears, sees = runs
        visual = None
        if sees is not None:
            assert not isinstance(sees.side.encoder.input, Sound)
            visual = _computed(sees.side, taking.images(path, sees.side.encoder.input))
        if hears is None:
            return _Decoded(has_audio(path), (None, visual))
        assert isinstance(hears.side.encoder.input, Sound)
        taken, heard = taking.sound(path, hears.side.encoder.input)
        return _Decoded(heard, (_computed(hears.side, taken), visual))
    except BadVideo as bad:
        return bad.with_traceback(None)


def _computed(side: Side, taken: npt.NDArray[Any]) -> list[Item] | Matrix:
    """Return items for the batches, or embeddings of a network that takes a whole input a call.

    Here, in the threads: such a network cannot use all cores alone.
    """
    try:
        with no_exit(side.encoder.name):
            items = side.network.prepare(taken)
            found: list[Item] | Matrix = split(items) if side.network.batch else _whole(side, items)
    except AvmitError:
        raise
    except Exception as error:  # processors and networks raise what they like
        raise BadVideo(
            f"is nothing that {side.encoder.name} can take ({first_line(error)})"
        ) from error
    if not len(found):
        length = _length(side, taken)
        raise BadVideo(f"is too short: {side.encoder.name} gives nothing for {length}")
    return found


def _whole(side: Side, items: Items) -> Matrix:
    found = matrices(side.network.encode(items))
    return np.concatenate(found) if found else np.zeros((0, side.encoder.width), np.float32)


def _length(side: Side, taken: npt.NDArray[Any]) -> str:
    form = side.encoder.input
    return f"{taken.size / form.rate:.2f} s" if isinstance(form, Sound) else f"{len(taken)} frames"
