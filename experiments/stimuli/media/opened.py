"""Open a clip that anybody may have made: what is no clip of seconds is refused by its headers."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.release.videos import unreadable
from experiments.extras import require

EXTRA = "'avmit[stimuli]'"
MOST_SECONDS = 60
MOST_PIXELS = 3840 * 2160

_PLAYLISTS = {"concat", "dash", "hls", "imf", "sdp"}
_OPTIONS = {"max_pixels": str(MOST_PIXELS), "protocol_whitelist": "file"}


class BadClip(AvmitError):
    """A clip of which a stimulus cannot be made; its text is the reason, after the clip's name."""


def pyav() -> Any:
    """Return PyAV.

    Raises:
        AvmitError: it is not installed, or too old to give what FFmpeg measures.
    """
    av = require("av", "avmit stimuli", EXTRA)
    if not hasattr(av.AudioFrame, "metadata"):
        raise AvmitError(
            f"avmit stimuli needs PyAV 18.1 or later, and this is {av.__version__}: "
            f"pip install --upgrade {EXTRA}"
        )
    return av


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yield a clip's container; what FFmpeg stops at in the block is a BadClip, too.

    Raises:
        BadClip: it cannot be read, is no video or sound, or lasts longer than a minute.
    """
    av = pyav()
    if problem := unreadable(path):
        raise BadClip(problem)
    try:
        with av.open(str(path), options=_OPTIONS) as container:
            if _PLAYLISTS & {*container.format.name.split(",")}:
                raise BadClip("is a playlist, which names other files")
            if (container.duration or 0) > MOST_SECONDS * 1_000_000:
                raise BadClip(f"lasts more than {MOST_SECONDS} s")
            for stream in container.streams:
                if stream.type in ("audio", "video"):
                    stream.codec_context.thread_count = 1
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        raise failure("cannot be decoded", error) from error


def failure(what: str, error: Exception) -> Exception:
    """Return what to raise for an error of FFmpeg's: a BadClip, unless the disk is full."""
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT):
        return OSError(code, os.strerror(code))
    return BadClip(f"{what} ({getattr(error, 'strerror', None) or error})")
