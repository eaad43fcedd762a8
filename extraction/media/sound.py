"""Waveform of a video, by the published extractor's procedure.

It used FFmpeg, pydub and resampy. Newer versions of these silently give other samples; what follows
holds to the old ones' results.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extraction.extras import require
from extraction.media.video_file import (
    BadVideo,
    check_sound,
    opened,
)

SAMPLE_RATE = 16_000
"""Samples per second that VGGish and YAMNet were trained with."""
SILENCE_SAMPLES = 48_000
"""What stands for the sound of a video without an audio stream: three seconds of zeros."""


def read_waveform(path: Path, rate: int = SAMPLE_RATE) -> tuple[npt.NDArray[np.float32], bool]:
    """Return the sound of a video as one channel, and whether it has an audio stream at all.

    All channels count equally (a 5.1 centre channel too), in 16-bit integers as pydub averages
    them; then the samples are divided by 32768 and resampled by resampy's `kaiser_best`.

    Returns:
        Samples from -1 to 1, `rate` a second, of shape (N,); without an audio stream three seconds
        of zeros.

    Raises:
        BadVideo: the file is missing or unreadable, or its audio stream has nothing to decode.
    """
    mono, own_rate = _mono(path)
    if own_rate is None:
        return np.zeros(SILENCE_SAMPLES * rate // SAMPLE_RATE, np.float32), False
    samples = mono / 32768.0
    if own_rate != rate:
        if len(samples) * rate < own_rate:
            raise BadVideo(f"is too short: its sound has {len(samples)} samples")
        samples = require("resampy").resample(samples, own_rate, rate, filter="kaiser_best")
    return samples.astype(np.float32), True


def has_audio(path: Path) -> bool:
    """Tell whether a video has an audio stream.

    Raises:
        BadVideo: the file is missing or unreadable.
    """
    with opened(path) as container:
        return bool(container.streams.audio)


def _mono(path: Path) -> tuple[npt.NDArray[np.int64], int | None]:
    """Return 16-bit samples of one channel with their rate; None where there is no stream."""
    with opened(path) as container:
        if not container.streams.audio:
            return np.zeros(0, np.int64), None
        pieces, rate = _decode(require("av"), container)
    if not pieces:
        raise BadVideo("has an audio stream with nothing that can be decoded")
    return np.concatenate(pieces), rate


def _decode(av: Any, container: Any) -> tuple[list[npt.NDArray[np.int64]], int]:
    """Decode the first audio stream to mono pieces, leaving out packets that are damaged."""
    to_int16 = av.AudioResampler(format="s16p")
    pieces, rate, samples = [], 0, 0
    for packet in container.demux(container.streams.audio[0]):
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError:
            continue  # FFmpeg's command line goes on too
        for frame in decoded:
            for converted in to_int16.resample(frame):
                pieces.append(_average(converted.to_ndarray()))
                rate = converted.sample_rate
                samples += converted.samples
                check_sound(samples, rate)
    return pieces, rate


def _average(channels: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Average (channels, samples) as pydub's `set_channels(1)` does, rounding downwards."""
    wide = channels.astype(np.int64)
    if len(wide) <= 2:
        return np.asarray(wide.sum(0) // len(wide))
    # pydub divides each channel before it adds them up.
    return np.asarray((wide // len(wide)).sum(0))
