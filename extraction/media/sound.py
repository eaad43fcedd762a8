"""Waveform of a video, by the published extractor's procedure.

It used FFmpeg, pydub and resampy. Newer versions of these silently give other samples; what follows
holds to the old ones' results.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extraction.extras import require
from extraction.media.resample import resample
from extraction.media.video_file import BadVideo, check_sound, opened

SAMPLE_RATE = 16_000
"""Samples per second that VGGish and YAMNet were trained with."""
SILENCE_SAMPLES = 48_000
"""What stands for the sound of a video without an audio stream: three seconds of zeros."""

_AT_ONCE = 2**16
"""Samples that are averaged together: by an audio stream's frames of 1,024 it takes far longer."""


def read_waveform(path: Path, rate: int = SAMPLE_RATE) -> tuple[npt.NDArray[np.float32], bool]:
    """Return the sound of a video as one channel, and whether it has an audio stream at all.

    All channels count equally (a 5.1 centre channel too), in 16-bit integers as pydub averages
    them; then the samples are divided by 32768 and resampled as by resampy's `kaiser_best`.

    Returns:
        Samples from -1 to 1, `rate` a second, of shape (N,); without an audio stream three seconds
        of zeros.

    Raises:
        BadVideo: the file is missing or unreadable, or its audio stream has nothing to decode.
    """
    mono, own_rate = _mono(path)
    if own_rate is None:
        return np.zeros(SILENCE_SAMPLES * rate // SAMPLE_RATE, np.float32), False
    if len(mono) * rate < own_rate:
        raise BadVideo(f"is too short: its sound has {len(mono)} samples")
    samples = resample(mono, own_rate, rate)
    samples /= 32768
    return samples.astype(np.float32), True


def has_audio(path: Path) -> bool:
    """Tell whether a video has an audio stream.

    Raises:
        BadVideo: the file is missing or unreadable.
    """
    with opened(path) as container:
        return bool(container.streams.audio)


def _mono(path: Path) -> tuple[npt.NDArray[np.int32], int | None]:
    """Return 16-bit samples of one channel with their rate; None where there is no stream."""
    with opened(path) as container:
        if not container.streams.audio:
            return np.zeros(0, np.int32), None
        pieces: list[npt.NDArray[np.int32]] = []
        frames: list[Any] = []
        rate = samples = averaged = 0
        for frame in _decode(require("av"), container):
            frames.append(frame)
            rate = frame.sample_rate
            samples += frame.samples
            check_sound(samples, rate)
            if samples - averaged >= _AT_ONCE:
                pieces.append(_average(frames))
                averaged = samples
                frames.clear()
        if frames:
            pieces.append(_average(frames))
    if not pieces:
        raise BadVideo("has an audio stream with nothing that can be decoded")
    return np.concatenate(pieces), rate


def _decode(av: Any, container: Any) -> Iterator[Any]:
    """Decode the first audio stream to 16-bit frames, leaving out packets that are damaged."""
    to_int16 = av.AudioResampler(format="s16p")
    for packet in container.demux(container.streams.audio[0]):
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError:
            continue  # FFmpeg's command line goes on too
        for frame in decoded:
            yield from to_int16.resample(frame)


def _average(frames: list[Any]) -> npt.NDArray[np.int32]:
    """Average the channels of frames as pydub's `set_channels(1)` does, rounding downwards."""
    planes = [frame.planes for frame in frames]
    lengths = [frame.samples for frame in frames]
    count = len(planes[0])
    total = np.zeros(sum(lengths), np.int32)
    for channel in range(count):
        pairs = zip(planes, lengths, strict=True)
        found = np.concatenate([np.frombuffer(of[channel], np.int16, n) for of, n in pairs])
        # pydub divides each channel before it adds them up, but for two.
        total += found if count <= 2 else found // count
    return total // count if count == 2 else total
