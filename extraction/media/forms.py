"""What encoders take of a video: sound, single frames or clips of frames, and taking it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from extraction.media.frames import (
    FRAME_INTERVAL_MS,
    FRAME_SIDE,
    read_frames,
    read_frames_by_number,
)
from extraction.media.sound import SAMPLE_RATE, read_waveform

WINDOW_S = 0.96
"""Seconds of sound in a window where neither the network nor the user says: YAMNet's window."""
HOP_S = 0.48
"""Seconds from one window to the next: YAMNet's hop, and as far as frames are apart."""


@dataclass(frozen=True)
class Sound:
    """Sound: float32 from -1 to 1, `rate` samples a second.

    In windows of `window_s` seconds, a new one each `hop_s`: an array (T, samples). What is left at
    the end and fills no window is left out. A sound shorter than one window is filled up with
    zeros, or with `pad` false comes as it is. Without `window_s` it is one whole waveform (N,).
    """

    rate: int = SAMPLE_RATE
    window_s: float | None = None
    hop_s: float | None = None
    pad: bool = True


@dataclass(frozen=True)
class Frames:
    """Single RGB frames, uint8 (T, side, side, 3), `interval_ms` apart.

    With `side` None they keep the video's own size, for networks that resize and crop themselves.
    """

    side: int | None = FRAME_SIDE
    interval_ms: float = FRAME_INTERVAL_MS


@dataclass(frozen=True)
class Clips:
    """Clips of `frames` RGB frames, uint8 (T, frames, side, side, 3), evenly spaced in time.

    One clip over the whole video, or with `window_s` clips of as many seconds, a new one each
    `hop_s`. With `side` None frames keep the video's own size.
    """

    frames: int = 16
    side: int | None = None
    window_s: float | None = None
    hop_s: float | None = None


Form = Sound | Frames | Clips


def timing_ms(form: Form) -> tuple[float | None, float | None]:
    """Return how many ms of the video an embedding covers, and how far apart they are.

    None stands for the whole video; a frame covers 0 ms. Of a whole waveform, the network alone
    knows.
    """
    if isinstance(form, Frames):
        return 0.0, form.interval_ms
    if form.window_s is None:
        return None, None
    return 1000 * form.window_s, 1000 * (form.hop_s or form.window_s)


def starts(length: float, window: float, hop: float) -> list[float]:
    """Return where the windows begin that lie within `length`; the first one always is there."""
    count = 1 + max(0, int((length - window) / hop + 1e-9))
    return [index * hop for index in range(count)]


def images(path: Path, form: Frames | Clips, checked: bool = False) -> npt.NDArray[np.uint8]:
    """Return frames (T, side, side, 3), or clips (T, frames, side, side, 3).

    `checked` says that the file's headers were looked at already, as `sound` and `has_audio` do.

    Raises:
        BadVideo: the file is missing or unreadable, or has no frame.
    """
    if isinstance(form, Frames):
        return read_frames(path, form.interval_ms, form.side, checked)

    def numbers(total: int, rate: float) -> list[int]:
        return [number for clip in clip_numbers(total, rate, form) for number in clip]

    taken = read_frames_by_number(path, numbers, form.side, checked)
    return taken.reshape(-1, form.frames, *taken.shape[1:])


def clip_numbers(total: int, rate: float, form: Clips) -> list[list[int]]:
    """Return the frame numbers of each clip of a video of `total` frames, `rate` a second.

    They lie as the documentation of VideoMAE and TimeSformer in transformers samples them: at
    `linspace(first, end, frames)`, the end itself taken back into the clip, rounded down.
    """
    if form.window_s is None or rate <= 0:
        bounds = [(0.0, float(total))]
    else:
        begin = starts(total / rate, form.window_s, form.hop_s or form.window_s)
        bounds = [(at * rate, (at + form.window_s) * rate) for at in begin]
    clips = []
    for first, end in bounds:
        last = max(0, min(round(end), total) - 1)
        numbers = np.linspace(first, min(end, total), form.frames)
        clips.append(np.clip(numbers.astype(int), 0, last).tolist())
    return clips


def sound(path: Path, form: Sound) -> tuple[npt.NDArray[np.float32], bool]:
    """Return a waveform (N,) or windows (T, samples), and whether there is an audio stream.

    Raises:
        BadVideo: the file is missing or unreadable, or its audio stream has nothing to decode.
    """
    samples, has_audio = read_waveform(path, form.rate)
    return windows(samples, form), has_audio


def windows(samples: npt.NDArray[np.float32], form: Sound) -> npt.NDArray[np.float32]:
    """Cut a waveform up as `form` says."""
    if form.window_s is None:
        return samples
    length = round(form.window_s * form.rate)
    if len(samples) < length:
        return np.pad(samples, (0, length - len(samples) if form.pad else 0))[None]
    hop = round((form.hop_s or form.window_s) * form.rate)
    begins = (round(at) for at in starts(len(samples), length, hop))
    return np.stack([samples[at : at + length] for at in begins])
