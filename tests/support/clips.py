"""Make clips whose frames say their number and whose channels each have a tone of their own."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
TONE_HZ = 440.0


def make_clip(
    path: Path,
    *,
    rate: Fraction | int = 30,
    seconds: float = 3.0,
    size: tuple[int, int] = (128, 96),
    amplitudes: Sequence[float] | None = (0.5,),
    sample_rate: int = 44100,
    b_frames: int = 0,
    times: Sequence[int] | None = None,
) -> Path:
    """Write an H.264 and AAC clip; `amplitudes` has one tone's for each channel, None: no audio.

    `times` are the frames' times in ms, at any distance; otherwise they are equally far apart.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(times) if times is not None else round(seconds * rate)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"crf": "18", "bf": str(b_frames), "g": "30", "preset": "ultrafast"}
        if b_frames:
            video.options |= {"preset": "fast", "b-adapt": "0"}
        if times is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        audio = None
        if amplitudes is not None:
            layout = LAYOUTS[len(amplitudes)]
            audio = container.add_stream("aac", rate=sample_rate, layout=layout)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_image(number, size), format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = 1 / Fraction(rate) if times is None else Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and amplitudes is not None:
            for frame in _tone(amplitudes, sample_rate, seconds):
                container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def numbered_image(number: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Two grey halves, whose levels are the digits of `number` to base 16; below, red."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = 8 + 15 * (number // 16)
    image[: height // 2, width // 2 :] = 8 + 15 * (number % 16)
    image[height // 2 :, :, 0] = 220
    return image


def numbers(frames: npt.NDArray[np.uint8]) -> list[int]:
    """Read the numbers back from frames (T, side, side, 3)."""
    side = frames.shape[1]
    quarter, half = side // 4, side // 2
    found = []
    for frame in frames.astype(float):
        high, low = (
            round((frame[10 : half - 20, x - 30 : x + 30].mean() - 8) / 15)
            for x in (quarter, half + quarter)
        )
        found.append(16 * high + low)
    return found


def _tone(amplitudes: Sequence[float], rate: int, seconds: float) -> list[av.AudioFrame]:
    time = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * TONE_HZ * time)
    channels = np.array(amplitudes, np.float32)[:, None] * tone.astype(np.float32)
    frames = []
    for start in range(0, channels.shape[1], 1024):
        piece = np.ascontiguousarray(channels[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, "fltp", LAYOUTS[len(amplitudes)])
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        frames.append(frame)
    return frames
