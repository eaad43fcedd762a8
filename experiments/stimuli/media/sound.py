"""A clip's sound as an array, its level and its loudness."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.stimuli.media.opened import MOST_SECONDS, BadClip, failure, opened, pyav

FULL_SCALE = 32768
"""What 1.0 is in samples of 16 bits, of which 32767 is the largest."""
SILENCE_LUFS = -70.0
"""The absolute gate of EBU R128: where nothing is louder, there is no loudness."""

_CEILING = (FULL_SCALE - 1) / FULL_SCALE


@dataclass(frozen=True)
class Sound:
    """Samples (channels, N), float64 from -1 to 1; `rate` a second; `layout` as FFmpeg names it."""

    samples: npt.NDArray[np.float64]
    rate: int
    layout: str

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.samples.shape[1] / self.rate)

    def level(self) -> float | None:
        """Return the root mean square of all samples in dB, 0 for a full-scale square wave."""
        power = float(np.mean(np.square(self.samples))) if self.samples.size else 0.0
        return 10 * math.log10(power) if power > 0 else None

    def headroom(self) -> float:
        """Return by how many dB it can be amplified until a sample reaches full scale."""
        peak = float(np.abs(self.samples).max(initial=0.0))
        return 20 * math.log10(_CEILING / peak) if peak > 0 else math.inf

    def amplified(self, gain: float) -> "Sound":
        """Return it with a gain in dB."""
        return replace(self, samples=self.samples * 10 ** (gain / 20))

    def lasting(self, seconds: float) -> "Sound":
        """Return it cut, or filled up with zeros, to so many seconds."""
        length = round(seconds * self.rate)
        kept = self.samples[:, :length]
        return replace(self, samples=np.pad(kept, ((0, 0), (0, length - kept.shape[1]))))

    def integers(self) -> npt.NDArray[np.int16]:
        """Return 16-bit samples (N, channels)."""
        scaled = np.rint(self.samples.T * FULL_SCALE)
        return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def read_sound(path: Path) -> Sound | None:
    """Decode a clip's first audio stream, beginning where the clip does; None without a stream.

    Raises:
        BadClip: it cannot be decoded.
    """
    with opened(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        length = stream.duration and float(stream.duration * stream.time_base)
        to_float = pyav().AudioResampler(format="fltp")
        pieces: list[npt.NDArray[np.float64]] = []
        rate, layout, lead, held = 0, "", 0, 0
        for decoded in container.decode(stream):
            for frame in to_float.resample(decoded):
                if not pieces:
                    rate, layout = frame.sample_rate, frame.layout.name
                    begins = Fraction(container.start_time or 0, 1_000_000)
                    lead = round(((frame.time or 0) - begins) * rate)
                pieces.append(frame.to_ndarray().astype(np.float64))
                held += frame.samples
                if held > MOST_SECONDS * rate:
                    raise BadClip(f"has sound of more than {MOST_SECONDS} s")
    if not pieces:
        raise BadClip("has an audio stream with nothing that can be decoded")
    samples = np.concatenate(pieces, axis=1)
    if length:  # what an encoder adds to fill its last block is not part of the sound
        samples = samples[:, : max(1, round(length * rate))]
    return Sound(np.pad(samples, ((0, 0), (max(0, lead), 0))), rate, layout)


def loudness(sound: Sound) -> float | None:
    """Return the integrated loudness by EBU R128 in LUFS, None of silence.

    FFmpeg's filter `ebur128` measures it, as ITU-R BS.1770 defines it: K-weighted power of blocks
    of 400 ms, without those 10 LU below the others' mean. Shorter sounds are filled up with zeros.

    Raises:
        BadClip: FFmpeg cannot measure sound of such channels.
    """
    av = pyav()
    try:
        return _measured(av, sound if sound.seconds >= 0.5 else sound.lasting(0.5))
    except (av.error.FFmpegError, ValueError) as error:
        raise failure("has sound that cannot be measured", error) from error


def _measured(av: Any, sound: Sound) -> float | None:
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sound.rate,
        format="fltp",
        layout=sound.layout,
        time_base=Fraction(1, sound.rate),
    )
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    samples = np.ascontiguousarray(sound.samples.astype(np.float32))
    graph.push(audio_frame(samples, "fltp", sound, 0))
    graph.push(None)
    measured = SILENCE_LUFS
    while True:
        try:
            found = graph.pull().metadata.get("lavfi.r128.I")  # the last piece may have none
            measured = measured if found is None else float(found)
        except (av.error.BlockingIOError, av.error.EOFError):
            return measured if measured > SILENCE_LUFS else None


def audio_frame(samples: npt.NDArray[Any], form: str, sound: Sound, start: int) -> Any:
    """Return samples of `sound` as PyAV's frame, the first of them number `start`."""
    frame = pyav().AudioFrame.from_ndarray(samples, form, sound.layout)
    frame.sample_rate, frame.pts, frame.time_base = sound.rate, start, Fraction(1, sound.rate)
    return frame
