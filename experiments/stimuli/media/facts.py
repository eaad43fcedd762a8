"""What there is to know of a clip's file, by the names of BIDS where it has names for it."""

import hashlib
from pathlib import Path
from typing import Any

from conversion.whole import open_regular
from experiments.stimuli.media.opened import BadClip, opened
from experiments.stimuli.media.sound import loudness, read_sound

Facts = dict[str, Any]
"""None stands for what a file has not, such as the frame rate of sound alone."""

_BLOCK = 2**20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file.

    Raises:
        BadClip: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise BadClip(f"cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()


def read_facts(path: Path) -> Facts:
    """Return what a clip's file holds: its length in s, frames, codecs, rates, level and loudness.

    Frames are counted, not taken from the header. Names are those of the BIDS proposal for stimuli
    (BEP044) and its media files; those that it lacks are ours.

    Raises:
        BadClip: it cannot be read or decoded.
    """
    facts: Facts = {"RecordingDuration": None}
    with opened(path) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        if video is None and audio is None:
            raise BadClip("has neither frames nor sound")
        duration = container.duration
        facts["RecordingDuration"] = round(duration / 1_000_000, 6) if duration else None
        if video is not None:
            rate = video.average_rate
            facts |= {
                "VideoCodec": video.codec_context.codec.canonical_name,
                "VideoFrameRate": round(float(rate), 6) if rate else None,
                "ImageWidth": video.codec_context.width,
                "ImageHeight": video.codec_context.height,
                "VideoFrameCount": sum(packet.size > 0 for packet in container.demux(video)),
            }
        facts["AudioPresent"] = audio is not None
        if audio is not None:
            facts |= {
                "AudioCodec": audio.codec_context.codec.canonical_name,
                "AudioSampleRate": audio.codec_context.sample_rate,
                "AudioChannelCount": audio.codec_context.layout.nb_channels,
            }
    sound = read_sound(path)
    if sound is not None:
        facts |= {"AudioLoudness": loudness(sound), "AudioLevel": _rounded(sound.level())}
    return facts | {"FileSize": path.stat().st_size, "SHA256": file_sha256(path)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
