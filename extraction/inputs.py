"""What encoders take of a video: sound, single frames, or clips of frames."""

from dataclasses import dataclass

from extraction.media import FRAME_INTERVAL_MS, FRAME_SIDE, SAMPLE_RATE
from extraction.settings import Settings

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


def frames_form(settings: Settings, side: int | None) -> Frames:
    """Return frames of that side, at the interval that is asked for."""
    interval = settings.interval_ms
    return Frames(side) if interval is None else Frames(side, interval)


def starts(length: float, window: float, hop: float) -> list[float]:
    """Return where the windows begin that lie within `length`; the first one always is there."""
    count = 1 + max(0, int((length - window) / hop + 1e-9))
    return [index * hop for index in range(count)]
