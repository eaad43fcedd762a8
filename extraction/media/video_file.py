"""Open a video file that anybody may have made: what would take long, or much memory, is refused.

AVMIT's clips last three seconds. The bounds leave room for twenty times that, and for frames of
4K; headers are looked at first, and what is decoded is counted, since headers may say anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.release.videos import unreadable
from extraction.extras import require

MOST_SECONDS = 60
MOST_FRAME_PIXELS = 3840 * 2160
"""A frame of 4K; a decoder may hold 17 of them, 210 MB."""
MOST_FRAMES = MOST_SECONDS * 240
MOST_PIXELS = 180 * MOST_FRAME_PIXELS
"""Of all frames together: three seconds of 4K at 60 frames a second."""
MOST_BYTES_TAKEN = 180_000_000
"""Of the frames that are taken: 700 of 340 x 256, or seven of 4K."""
MOST_SAMPLES = MOST_SECONDS * 64_000
MOST_RATE = 384_000

_PLAYLISTS = {"concat", "dash", "hls", "imf", "sdp"}
_OPTIONS = {"max_pixels": str(MOST_FRAME_PIXELS), "protocol_whitelist": "file"}


class BadVideo(AvmitError):
    """A video that cannot be embedded; its text is the reason, and follows on the video's name."""


def check(path: Path) -> None:
    """Look at the headers of a video.

    Raises:
        BadVideo: the file cannot be read, is no video, or is beyond the bounds.
    """
    with opened(path):
        pass


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yield a video's container by PyAV; decoders refuse frames that are too large.

    Raises:
        BadVideo: the file cannot be read, is no video, or is beyond the bounds; or FFmpeg stops
            at something in the block.
    """
    av = require("av")
    if problem := unreadable(path):
        raise BadVideo(problem)
    try:
        with av.open(str(path), options=_OPTIONS) as container:
            _check_header(container)
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadVideo(f"is not a video that FFmpeg can open ({reason})") from error


def check_seconds(seconds: float) -> None:
    """Refuse what lasts too long.

    Raises:
        BadVideo: it does.
    """
    if seconds > MOST_SECONDS:
        raise BadVideo(f"lasts more than {MOST_SECONDS} s")


def _check_header(container: Any) -> None:
    if _PLAYLISTS & {*container.format.name.split(",")}:
        raise BadVideo("is a playlist, which names other files")
    for stream in (*container.streams.video[:1], *container.streams.audio[:1]):
        if stream.duration is not None:
            check_seconds(float(stream.duration * stream.time_base))
        elif container.duration is not None:
            check_seconds(container.duration / 1_000_000)
    for stream in container.streams.video[:1]:
        check_frame(stream.width, stream.height, stream.frames)
    for stream in container.streams.audio[:1]:
        check_sound(0, stream.rate)


def check_sound(samples: int, rate: int) -> None:
    """Refuse sound of too many samples, in all or a second.

    Raises:
        BadVideo: it has.
    """
    if rate > MOST_RATE:
        raise BadVideo(f"has sound of {rate:,} samples a second; {MOST_RATE:,} is the most")
    if samples > min(MOST_SAMPLES, MOST_SECONDS * rate):
        raise BadVideo(f"has sound of more than {min(MOST_SAMPLES / rate, MOST_SECONDS):g} s")


def check_frame(width: int, height: int, frames: int) -> None:
    """Refuse frames that are too large, or so many frames of that size.

    FFmpeg gives 0 for the size of those that are beyond the bound of pixels.

    Raises:
        BadVideo: they are.
    """
    pixels = width * height
    if not pixels:
        raise BadVideo("has frames of no known size, or of more than 3840 x 2160")
    if pixels > MOST_FRAME_PIXELS:
        raise BadVideo(f"has frames of {width} x {height}; 3840 x 2160 is the most")
    if frames > MOST_FRAMES:
        raise BadVideo(f"has more than {MOST_FRAMES:,} frames")
    if frames * pixels > MOST_PIXELS:
        raise BadVideo(
            f"has too many frames of {width} x {height}; {MOST_PIXELS // pixels:,} is the most"
        )
