"""Scramble the phases of sound and frames: the magnitudes of all frequencies stay as they are."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.stimuli.media.opened import BadClip, opened, pyav
from experiments.stimuli.media.sound import Sound

AUDIO, FRAMES = 0, 1
"""Which words of the generator a clip's noise takes."""

_FULL = (0, 255)
_LIMITED = ((16, 235), (16, 240), (16, 240))
"""The levels of Y, U and V in video of limited range (ITU-R BT.601)."""
_ROUNDS = 12
_NEAR = 0.02
"""Of a level: so close to mean and contrast suffices, since levels are whole numbers."""


def phases(shape: tuple[int, ...], seed: int, name: str, part: int) -> npt.NDArray[np.complex128]:
    """Return the spectrum's factors of magnitude 1 that scramble a real signal of that shape.

    They are those of white noise, as `rfftn` has them, so that what comes out is real; the mean is
    left alone. The noise is of the Philox words with the key (`seed`, the first eight bytes of the
    SHA-256 of `name`), and so the same whatever else is scrambled.
    """
    own = int.from_bytes(sha256(name.encode()).digest()[:8], "little")
    counter = np.array([0, 0, 0, part], np.uint64)
    philox = np.random.Philox(key=np.array([seed, own], np.uint64), counter=counter)
    words = philox.random_raw(int(np.prod(shape)))
    noise = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 - 0.5
    spectrum = np.fft.rfftn(noise.reshape(shape))
    factors: npt.NDArray[np.complex128] = np.exp(1j * np.angle(spectrum))
    factors.flat[0] = 1
    return factors


def scrambled_sound(sound: Sound, seed: int, name: str) -> Sound:
    """Return sound with random phases, the same ones added in all channels.

    Magnitudes are those of one transform over the whole sound; so is its root mean square.
    """
    length = sound.samples.shape[1]
    if not length:
        return sound
    spectrum = np.fft.rfft(sound.samples, axis=1) * phases((length,), seed, name, AUDIO)
    return replace(sound, samples=np.fft.irfft(spectrum, length, axis=1))


def scrambled_frames(path: Path, seed: int, name: str) -> Iterator[Any]:
    """Yield a clip's frames with random phases, as PyAV's, in 4:2:0, with the times they have.

    One field of phases is added to all frames and to Y, U and V alike, which is the same as adding
    it to red, green and blue, so that movement and colours stay correlated as they were. What falls
    beyond the levels that video has is cut off; then mean and contrast (standard deviation) are
    brought back to those of the frame. An odd last row or column is left out.

    Raises:
        BadClip: it cannot be decoded, has no frame, or frames of several sizes.
    """
    factors: npt.NDArray[np.complex128] | None = None
    size: tuple[int, ...] = ()
    with opened(path) as container:
        if not container.streams.video:
            raise BadClip("has no frames")
        for frame in container.decode(container.streams.video[0]):
            full = frame.format.name.startswith("yuvj") or int(frame.color_range) == 2
            form = "yuvj" if full else "yuv"
            planes = frame.reformat(format=f"{form}444p").to_ndarray()
            planes = planes[:, : planes.shape[1] // 2 * 2, : planes.shape[2] // 2 * 2]
            if factors is None:
                size = planes.shape
                factors = phases(size[1:], seed, name, FRAMES)
            if planes.shape != size or not planes.size:
                raise BadClip("has frames of several sizes, or of less than 2 x 2 pixels")
            scrambled = scrambled_planes(planes, factors, full)
            made = pyav().VideoFrame.from_ndarray(scrambled, format=f"{form}444p")
            made = made.reformat(format=f"{form}420p")
            made.pts, made.time_base = frame.pts, frame.time_base
            yield made
    if factors is None:
        raise BadClip("has no frame that can be decoded")


def scrambled_planes(
    planes: npt.NDArray[np.uint8], factors: npt.NDArray[np.complex128], full: bool
) -> npt.NDArray[np.uint8]:
    """Return one frame (3, height, width) with the phases of `factors` added."""
    height, width = planes.shape[1:]
    spectrum = np.fft.rfft2(planes.astype(np.float64)) * factors
    mixed = np.fft.irfft2(spectrum, (height, width))
    limits = [_FULL] * 3 if full else _LIMITED
    kept = [
        _within(plane, float(before.mean()), float(before.std()), *bounds)
        for plane, before, bounds in zip(mixed, planes, limits, strict=True)
    ]
    return np.rint(np.stack(kept)).astype(np.uint8)


def _within(
    plane: npt.NDArray[np.float64], mean: float, contrast: float, lowest: int, highest: int
) -> npt.NDArray[np.float64]:
    """Cut off what is beyond the bounds, and keep mean and contrast as far as there is room."""
    gain, shift = 1.0, 0.0
    cut = np.clip(plane, lowest, highest)
    for _ in range(_ROUNDS):
        spread, aside = float(cut.std()), mean - float(cut.mean())
        if not spread or (abs(spread - contrast) < _NEAR and abs(aside) < _NEAR):
            break
        gain *= contrast / spread
        shift += aside
        cut = np.clip((plane - mean) * gain + mean + shift, lowest, highest)
    return cut
