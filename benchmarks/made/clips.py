"""Clips for the benchmarks, and how time is taken."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil


def best(work: Callable[[], object], clock: Callable[[], float], repeat: int) -> float:
    """Return the least time that one of `repeat` runs takes."""
    times = []
    for _ in range(repeat):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def best_in_turn(works: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Return the least CPU seconds of each, all of them run in turn: other programs come and go."""
    found = dict.fromkeys(works, float("inf"))
    for _ in range(repeat):
        for name, work in works.items():
            found[name] = min(found[name], best(work, time.process_time, 1))
    return found


def used_or_idle() -> float:
    """Return the CPU seconds that this process has used and that nobody has."""
    return time.process_time() + float(psutil.cpu_times().idle)


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Time:
    """Seconds of work: that passed, of processors, and that would pass without other programs.

    The last are those of this process and those that no program used, a share for each core: work
    of one thread seems shorter by them if other programs take the cores that it leaves idle.
    """

    wall: float
    used: float
    undisturbed: float

    def __mul__(self, by: float) -> "Time":
        return Time(self.wall * by, self.used * by, self.undisturbed * by)

    def __truediv__(self, by: float) -> "Time":
        return Time(self.wall / by, self.used / by, self.undisturbed / by)

    def least(self, other: "Time") -> "Time":
        """Return the lesser of each."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Time(*map(min, pairs))


def times_in_turn(works: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, Time]:
    """Return the least times of each, run in turn after a first run of all that is not counted."""
    found: dict[str, Time] = {}
    for turn in range(repeat + 1):
        for name, work in works.items():
            wall, used, free = time.perf_counter(), time.process_time(), used_or_idle()
            work()
            took = Time(
                time.perf_counter() - wall,
                time.process_time() - used,
                (used_or_idle() - free) / cores(),
            )
            if turn:
                found[name] = took.least(found.get(name, took))
    return found


def make_clip(path: Path, seed: int, grain: int = 0) -> Path:
    """Write three seconds of smooth random motion and noise, with a camera's grain if wanted."""
    generator = np.random.default_rng(seed)
    picture = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 256, 256, "yuv420p"
        audio = container.add_stream("aac", rate=44100, layout="stereo")
        for number in range(90):
            image = np.ascontiguousarray(picture[number : number + 256, number : number + 256])
            if grain:
                image = image // 2 + generator.integers(0, grain, image.shape, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        noise = generator.uniform(-0.3, 0.3, (2, 3 * 44100)).astype(np.float32)
        for start in range(0, noise.shape[1], 1024):
            piece = np.ascontiguousarray(noise[:, start : start + 1024])
            sound = av.AudioFrame.from_ndarray(piece, "fltp", "stereo")
            sound.sample_rate, sound.pts, sound.time_base = 44100, start, Fraction(1, 44100)
            container.mux(audio.encode(sound))
        container.mux(audio.encode())
    return path
