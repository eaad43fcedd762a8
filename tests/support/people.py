"""Small studies for people: clips with texture and bursts of noise, and what is in a clip.

PyAV is imported late: without it, tests that need clips are skipped.
"""

import csv
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conversion.release.generate import generate_release

RATE = 22050


def textured_clip(
    path: Path,
    seed: int = 0,
    *,
    seconds: float = 1.0,
    rate: int = 10,
    size: tuple[int, int] = (64, 48),
    channels: int = 2,
    loud: float = 0.1,
) -> Path:
    """Write H.264 and AAC: a coloured texture that moves, and noise that comes and goes."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"crf": "10", "preset": "ultrafast"}
        audio = None
        if channels:
            layout = {1: "mono", 2: "stereo"}[channels]
            audio = container.add_stream("aac", rate=RATE, layout=layout)
        texture = _texture(generator, size)
        for number in range(round(rate * seconds)):
            image = np.roll(texture, 3 * number, axis=1)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            count = round(RATE * seconds)
            swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * np.arange(count) / RATE)
            noise = loud * swell * generator.standard_normal((channels, count))
            for start in range(0, count, 1024):
                piece = np.ascontiguousarray(noise[:, start : start + 1024].astype(np.float32))
                made = av.AudioFrame.from_ndarray(piece, "fltp", layout)
                made.sample_rate, made.pts, made.time_base = RATE, start, Fraction(1, RATE)
                container.mux(audio.encode(made))
            container.mux(audio.encode())
    return path


def _texture(generator: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    width, height = size
    coarse = generator.uniform(70, 180, (height // 4, width // 4, 3))
    return np.kron(coarse, np.ones((4, 4, 1))).astype(np.uint8)


def lay_out_study(
    root: Path, clip: Callable[[Path, int], Path], *, per_label: int = 3, tested: int = 2
) -> tuple[Path, Path]:
    """Generate annotations and a copy of Moments in Time; `clip` writes the clip of a number."""
    annotations, videos = root / "sources", root / "mit"
    generate_release(annotations, videos_per_label=per_label, test_per_label=tested, sets=[])
    with (annotations / "video_ratings.csv").open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            clip(videos / row["video_location"] / row["filename"], number)
    return videos, annotations


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def sound_of(path: Path) -> npt.NDArray[np.float64]:
    """Decode all samples (channels, N), as they come, without this project's code."""
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp")
        pieces = [
            frame.to_ndarray()
            for decoded in container.decode(audio=0)
            for frame in resampler.resample(decoded)
        ]
    return np.concatenate(pieces, axis=1).astype(np.float64)


def luma_of(path: Path) -> npt.NDArray[np.float64]:
    """Decode all frames' luma (T, height, width)."""
    import av

    with av.open(str(path)) as container:
        planes = [
            frame.reformat(format="yuv444p").to_ndarray()[0] for frame in container.decode(video=0)
        ]
    return np.stack(planes).astype(np.float64)


def packets_of(path: Path, kind: str) -> list[bytes]:
    """Return a stream's packets as they are compressed."""
    import av

    with av.open(str(path)) as container:
        stream: Any = getattr(container.streams, kind)[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder with their bytes, but for the lock's."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".avmit.lock"
    }
