"""Measure what `avmit extract` does before any network: decoding, resizing, resampling.

Of each clip frames and sound are taken as for the published encoders. Beside it, in turn, the way
that was usual: each part opens the file and looks at its headers for itself, sound is averaged
frame by frame, and resampy's compiled loop brings it to 16 kHz. Their start-up is left out, which
is seconds for resampy (numba) and 50 ms here. `decode-bound` are whole videos through
`extraction.pipeline`, with networks that cost nothing: what a GPU could have at most.
"""

import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from made.clips import best, best_in_turn, used_or_idle

from extraction.encoders.base import Network, Side
from extraction.encoders.settings import Modality
from extraction.encoders.tensorflow.published import EFFICIENTNET_B0, YAMNET
from extraction.extras import require
from extraction.media.frames import read_frames
from extraction.media.resample import resample
from extraction.media.sound import SAMPLE_RATE, read_waveform
from extraction.media.video_file import check, opened
from extraction.pipeline.embed import embed


class FreeSound(Network):
    """An audio network that costs nothing."""

    weights_sha256 = ""

    def encode(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return nothing of worth."""
        return np.zeros((5, YAMNET.width), np.float32)


class FreeFrames(Network):
    """A visual network that costs nothing."""

    weights_sha256 = ""
    batch = 32

    def encode(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return nothing of worth."""
        return np.zeros((len(inputs), EFFICIENTNET_B0.width), np.float32)


def measure_decoding(clips: Sequence[Path], name: str, repeat: int) -> float:
    """Print CPU ms a clip of each part and of the usual way; return seconds of all parts."""
    samples, rate = usual_sound(clips[0])

    def each(work: Any) -> Any:
        return lambda: [work(clip) for clip in clips]

    found = best_in_turn(
        {
            "frames": each(lambda clip: read_frames(clip, checked=True)),
            "sound": each(read_waveform),
            "resampling": each(lambda _: resample(samples, rate, SAMPLE_RATE)),
            "usual frames": each(read_frames),
            "usual sound": each(usual_sound),
            "resampy": each(lambda _: resampy(samples, rate)),
            "opening": each(check),
        },
        repeat,
    )
    each_ms = {part: 1000 * seconds / len(clips) for part, seconds in found.items()}
    ours = each_ms["frames"] + each_ms["sound"]
    usual = each_ms["usual frames"] + each_ms["usual sound"] + each_ms["resampy"]
    size = sum(clip.stat().st_size for clip in clips) / len(clips) / 1000
    print(
        f"decoding, {name} ({size:.0f} kB a clip), CPU ms a clip: {ours:.1f} "
        f"(frames {each_ms['frames']:.1f}, sound {each_ms['sound'] - each_ms['resampling']:.1f}, "
        f"resampling {each_ms['resampling']:.2f}); usual {usual:.1f} "
        f"(frames {each_ms['usual frames']:.1f}, sound {each_ms['usual sound']:.1f}, "
        f"resampy {each_ms['resampy']:.1f}); {usual / ours:.1f} times as fast, "
        f"resampling {each_ms['resampy'] / each_ms['resampling']:.0f} times; "
        f"opening a file takes {each_ms['opening']:.1f}",
        flush=True,
    )
    return ours / 1000


def measure_bound(
    clips: Sequence[Path], videos: int, cores: int, decoding: float, repeat: int
) -> None:
    """Print how many clips a second are decoded in as many threads as there are cores, or fewer."""
    sides: dict[Modality, Side] = {
        "audio": Side(YAMNET, FreeSound()),
        "visual": Side(EFFICIENTNET_B0, FreeFrames()),
    }
    files: list[Path | None] = [clips[index % len(clips)] for index in range(videos)]

    def run(workers: int) -> None:
        for _ in embed(files, sides, workers):
            pass

    for workers in _numbers(cores):
        work = partial(run, workers)
        wall = best(work, time.perf_counter, repeat) / videos
        line = f"decode-bound, {workers} of {cores} cores: {1 / wall:.0f} clips/s"
        if workers == cores:
            alone = best(work, used_or_idle, repeat) / videos / cores
            line += (
                f", {1 / alone:.0f} without other programs; decoding alone {cores / decoding:.0f} "
                f"(overhead {alone * cores / decoding:.2f})"
            )
        print(line, flush=True)


def measure_processes(clips: Sequence[Path], videos: int, cores: int, repeat: int) -> None:
    """Print how many clips a second are decoded in as many processes as there are cores, or fewer.

    Extraction decodes in threads, of which Python lets one at a time do what is between the calls.
    """
    files = [clips[index % len(clips)] for index in range(videos)]
    for workers in _numbers(cores):
        with get_context("spawn").Pool(workers) as pool:
            pool.map(_decode, [*clips[:1]] * 4 * workers, 1)  # imports
            wall = best(partial(pool.map, _decode, files, 4), time.perf_counter, repeat)
        print(
            f"decoding in {workers} of {cores} processes: {videos / wall:.0f} clips/s", flush=True
        )


def _decode(clip: Path) -> None:
    read_waveform(clip)
    read_frames(clip, checked=True)


def _numbers(cores: int) -> list[int]:
    """Return powers of two up to the number of cores, and that."""
    return sorted({min(2**power, cores) for power in range(cores.bit_length() + 1)})


def usual_sound(path: Path) -> tuple[npt.NDArray[np.float64], int]:
    """Return a clip's samples in one channel and their rate, each audio frame averaged alone."""
    pieces, rate = [], 0
    with opened(path) as container:
        to_int16 = av.AudioResampler(format="s16p")
        for packet in container.demux(container.streams.audio[0]):
            for frame in packet.decode():
                for converted in to_int16.resample(frame):
                    wide = converted.to_ndarray().astype(np.int64)
                    pieces.append(wide.sum(0) // len(wide))
                    rate = converted.sample_rate
    return np.concatenate(pieces) / 32768.0, rate


def resampy(samples: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float32]:
    """Bring samples to 16 kHz with resampy's loop."""
    module = require("resampy", "dev")
    found = module.resample(samples, rate, SAMPLE_RATE, filter="kaiser_best")
    return np.asarray(found, np.float32)
