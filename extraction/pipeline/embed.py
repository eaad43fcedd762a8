"""From video files to embeddings: decoding in threads, ahead of the networks.

Threads do, because OpenCV, FFmpeg, products of matrices, Pillow, TensorFlow and PyTorch all work
without Python's lock.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import Item, Items, Matrix, split
from extraction.encoders.base import Side, matrices
from extraction.encoders.foreign import no_exit
from extraction.encoders.settings import Modality
from extraction.media import forms as taking
from extraction.media.forms import Sound
from extraction.media.sound import has_audio
from extraction.media.video_file import BadVideo
from extraction.pipeline.batches import Batches, Counts, batch_start

_AHEAD = 16
"""Videos decoded beyond two for each worker: about three batches, at 1 MB each."""


@dataclass(frozen=True)
class Embedded:
    """A video's embeddings, (T, width) each.

    `counts` has how many items of it went into the batches of each network that takes batches.
    """

    has_audio: bool
    embeddings: Mapping[Modality, Matrix]
    counts: Counts = field(default_factory=dict)


Outcome = Embedded | BadVideo


def embed(
    videos: Sequence[Path | None],
    sides: Mapping[Modality, Side],
    workers: int,
    done: Sequence[Counts] = (),
) -> Iterator[Outcome]:
    """Yield the outcome of each video, in order; None stands for a missing file.

    Items are put into batches one after the other, without regard to where a video ends, so the
    videos alone decide which items meet in a batch. `done` has the counts of the first videos when
    those are known already: the others' outcomes are yielded, the same as if all were computed,
    for which at most one batch of each network is computed again.
    """
    runs = {
        modality: _Run(
            side, *batch_start([counts.get(modality, 0) for counts in done], side.network.batch)
        )
        for modality, side in sides.items()
    }
    first = min((run.first for run in runs.values()), default=len(done))
    # What was bad stays bad: it had no items in any batch.
    again = [videos[at] if any(done[at].values()) else None for at in range(first, len(done))]
    decoded = _decode_ahead([*again, *videos[len(done) :]], first, runs, workers)
    outcomes = _together(decoded, runs)
    try:
        for _ in again:
            next(outcomes)
        yield from outcomes
    finally:
        for run in runs.values():
            run.batches.close()


class _Run:
    """One network at work; what it needs of the videos before `first` is there already."""

    def __init__(self, side: Side, first: int, skipped: int):
        self.side = side
        self.first = first
        self.batches = Batches(side, skipped)


_Runs = Mapping[Modality, _Run]


@dataclass(frozen=True)
class _Decoded:
    """A video's items, or its embeddings where the network takes the whole."""

    has_audio: bool
    found: Mapping[Modality, list[Item] | Matrix]


def _together(videos: Iterator[_Decoded | BadVideo], runs: _Runs) -> Iterator[Outcome]:
    """Run items through the networks, and put videos together again."""
    waiting: deque[Outcome] = deque()

    def finished() -> Iterator[Outcome]:
        while waiting:
            video = waiting[0]
            if isinstance(video, Embedded):
                if not all(runs[name].batches.ready(count) for name, count in video.counts.items()):
                    return
                taken = {
                    name: runs[name].batches.take(count) for name, count in video.counts.items()
                }
                video = replace(video, embeddings={**video.embeddings, **taken})
            waiting.popleft()
            yield video

    for video in videos:
        waiting.append(video if isinstance(video, BadVideo) else _in_batches(video, runs))
        yield from finished()
    for run in runs.values():
        run.batches.finish()
    yield from finished()


def _in_batches(video: _Decoded, runs: _Runs) -> Embedded:
    """Put a video's items into batches, and return it with the embeddings that are there."""
    embeddings: dict[Modality, Matrix] = {}
    counts: Counts = {}
    for modality, found in video.found.items():
        if isinstance(found, list):
            counts[modality] = runs[modality].batches.add(found)
        else:
            embeddings[modality] = found
    return Embedded(video.has_audio, embeddings, counts)


def _decode_ahead(
    videos: Sequence[Path | None], first: int, runs: _Runs, workers: int
) -> Iterator[_Decoded | BadVideo]:
    """Decode videos in threads and yield them in order; the number of the first is `first`."""
    pending: deque[Future[_Decoded | BadVideo]] = deque()
    pool = ThreadPoolExecutor(workers, "avmit-decode")
    try:
        for number, video in enumerate(videos, first):
            wanted = {name: run.side for name, run in runs.items() if number >= run.first}
            pending.append(pool.submit(_decode, video, wanted))
            if len(pending) > 2 * workers + _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(path: Path | None, sides: Mapping[Modality, Side]) -> _Decoded | BadVideo:
    found: dict[Modality, list[Item] | Matrix] = {}
    try:
        if path is None:
            raise BadVideo("is missing")
        # Sound first: it looks at the headers, which takes as long as a tenth of all of it.
        if "audio" in sides:
            side = sides["audio"]
            assert isinstance(side.encoder.input, Sound)
            samples, heard = taking.sound(path, side.encoder.input)
            found["audio"] = _computed(side, samples)
        else:
            heard = has_audio(path)
        if "visual" in sides:
            side = sides["visual"]
            assert not isinstance(side.encoder.input, Sound)
            found["visual"] = _computed(side, taking.images(path, side.encoder.input, checked=True))
        return _Decoded(heard, found)
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
