"""Write clips and sounds: the same input gives the same bytes on one machine and version.

Frames are copied as they are compressed, or encoded by x264; sound is FLAC inside MP4, or WAV, both
without loss. Browsers and PsychoPy play them. One thread, and no dates or versions in the file.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from experiments.stimuli.media.opened import BadClip, failure, opened, pyav
from experiments.stimuli.media.sound import Sound, audio_frame

X264 = {
    "crf": "12",
    "preset": "veryfast",
    "threads": "1",
    "flags": "+bitexact",
    "x264-params": "threads=1:sliced-threads=0:cpu-independent=1",
}
"""x264's quality 12, where 18 counts as without visible loss. Without `cpu-independent` its bytes
differ from call to call, as its vector code reads beyond a frame's width."""

_CHUNK = 4096
"""FLAC's usual block of samples."""
_MP4 = {"movflags": "+faststart", "fflags": "+bitexact"}


@contextmanager
def _written(out: Path, form: str, options: dict[str, str]) -> Iterator[Any]:
    """Yield a new file's container; what goes wrong until it is closed is a BadClip."""
    av = pyav()
    try:
        with av.open(str(out), "w", format=form, container_options=options) as container:
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        raise failure("cannot be written", error) from error


def write_wav(out: Path, sound: Sound) -> None:
    """Write sound as WAV, 16 bits.

    Raises:
        BadClip: it is in a form that WAV does not hold.
        OSError: the disk is full.
    """
    with _written(out, "wav", {"fflags": "+bitexact"}) as container:
        stream = container.add_stream("pcm_s16le", rate=sound.rate, layout=sound.layout)
        for packet in _encoded(stream, sound):
            container.mux(packet)


def write_mp4(
    out: Path,
    *,
    copied_frames: Path | None = None,
    frames: tuple[Iterator[Any], Path] | None = None,
    copied_sound: Path | None = None,
    sound: Sound | None = None,
) -> None:
    """Write an MP4: frames of a clip as they are, or new ones at its rate; sound likewise, or none.

    Raises:
        BadClip: what is to be copied has no frames, or is in a form that MP4 does not hold.
        OSError: the disk is full.
    """
    with ExitStack() as stack:
        container = stack.enter_context(_written(out, "mp4", _MP4))
        packets: list[Iterator[Any]] = []
        if copied_frames is not None:
            source = stack.enter_context(opened(copied_frames))
            packets.append(_copied(container, source, "video"))
        if frames is not None:
            source = stack.enter_context(opened(frames[1]))
            packets.append(_x264(container, frames[0], source.streams.video[0]))
        if copied_sound is not None:
            source = stack.enter_context(opened(copied_sound))
            packets.append(_copied(container, source, "audio"))
        if sound is not None:
            options = {"flags": "+bitexact"}
            stream = container.add_stream(
                "flac", rate=sound.rate, layout=sound.layout, options=options
            )
            stream.codec_context.format = "s16"
            packets.append(_encoded(stream, sound))
        for each in packets:
            for packet in each:
                container.mux(packet)


def _copied(container: Any, source: Any, kind: str) -> Iterator[Any]:
    found = getattr(source.streams, kind)
    if not found:
        raise BadClip("has no frames" if kind == "video" else "has no sound")
    stream = container.add_stream_from_template(found[0])

    def packets() -> Iterator[Any]:
        for packet in source.demux(found[0]):
            if packet.dts is not None:
                packet.stream = stream
                yield packet

    return packets()


def _x264(container: Any, frames: Iterator[Any], like: Any) -> Iterator[Any]:
    first = next(frames)
    stream = container.add_stream("libx264", rate=like.average_rate or 25, options=X264)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
    context.time_base = first.time_base
    context.thread_count = 1
    if like.sample_aspect_ratio:
        context.sample_aspect_ratio = like.sample_aspect_ratio
    context.colorspace, context.color_range = like.codec_context.colorspace, first.color_range

    def packets() -> Iterator[Any]:
        yield from stream.encode(first)
        for frame in frames:
            yield from stream.encode(frame)
        yield from stream.encode(None)

    return packets()


def _encoded(stream: Any, sound: Sound) -> Iterator[Any]:
    samples = sound.integers()
    for start in range(0, len(samples), _CHUNK):
        packed = np.ascontiguousarray(samples[start : start + _CHUNK].reshape(1, -1))
        yield from stream.encode(audio_frame(packed, "s16", sound, start))
    yield from stream.encode(None)
