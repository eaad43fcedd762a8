"""Take of a video what an encoder's input form says."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from extraction import media
from extraction.inputs import Clips, Frames, Sound, starts


def images(path: Path, form: Frames | Clips) -> npt.NDArray[np.uint8]:
    """Return frames (T, side, side, 3), or clips (T, frames, side, side, 3).

    Raises:
        BadVideo: the file is missing or unreadable, or has no frame.
    """
    if isinstance(form, Frames):
        return media.frames(path, form.interval_ms, form.side)

    def numbers(total: int, rate: float) -> list[int]:
        return [number for clip in clip_numbers(total, rate, form) for number in clip]

    taken = media.frames_by_number(path, numbers, form.side)
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
    samples, has_audio = media.waveform(path, form.rate)
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
