"""Frames and waveforms: which frames, which pixels, which samples, and which videos are bad."""

import os
import struct
import sys
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from support.clips import TONE_HZ, make_clip, numbers
from support.places import REFERENCE

from avmit import AvmitError
from extraction.media.frames import read_frames, read_frames_by_number
from extraction.media.sound import has_audio, read_waveform
from extraction.media.video_file import BadVideo

needs_reference = pytest.mark.skipif(
    not (REFERENCE / "expected_clips.npz").is_file(), reason="no shared/reference here"
)
RATE_24 = [0, 12, 24, 36, 48, 60]
RATE_30 = [0, 15, 30, 45, 60, 75]
TAKEN: list[tuple[Fraction | int, list[int]]] = [
    (10, [0, 5, 10, 15, 20, 25]),
    (15, [0, 8, 16, 24, 32, 40]),
    (24, RATE_24),
    (25, [*RATE_24, 72]),
    (Fraction(30000, 1001), RATE_30),
    (30, RATE_30),
    (50, [24 * n for n in range(7)]),
    (60, [29 * n for n in range(7)]),
]


@needs_reference
@pytest.mark.parametrize("clip", sorted(p.stem for p in REFERENCE.glob("clips/*.mp4")) or ["none"])
def test_equals_the_published_procedure(clip: str) -> None:
    path = REFERENCE / "clips" / f"{clip}.mp4"
    with np.load(REFERENCE / "expected_clips.npz") as expected:
        taken = expected[f"{clip}|frames"].astype(int)
        samples = expected[f"{clip}|audio_16k"]
    assert np.abs(read_frames(path).astype(int) - taken).max() <= 1
    found, has_sound = read_waveform(path)
    assert has_sound == ("silent" not in clip)
    np.testing.assert_allclose(found, samples, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("rate", "expected"), TAKEN)
@pytest.mark.parametrize("b_frames", [0, 3])
def test_which_frames_are_taken(
    tmp_path: Path, rate: Fraction | int, expected: list[int], b_frames: int
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", rate=rate, amplitudes=None, b_frames=b_frames)
    assert numbers(read_frames(clip)) == expected


def test_times_follow_from_the_average_rate_not_from_timestamps(tmp_path: Path) -> None:
    # 20 frames a second for two seconds, then 10: by their timestamps, frame 10 would be taken.
    times = [50 * n for n in range(40)] + [2000 + 100 * n for n in range(11)]
    clip = make_clip(tmp_path / "clip.mp4", rate=20, amplitudes=None, times=times)
    taken = numbers(read_frames(clip))
    average = 51 / 3.05  # 51 frames; the last one's length is not certain, to a tenth of a second
    step = np.ceil(0.48 * average)
    assert taken == [int(step * n) for n in range(len(taken))]
    assert step == 9
    assert len(taken) == 6


def test_frames_are_rgb_of_the_side_asked_for(tmp_path: Path) -> None:
    found = read_frames(make_clip(tmp_path / "clip.mp4", amplitudes=None), side=64)
    assert found.shape == (6, 64, 64, 3)
    assert found.dtype == np.uint8
    below = found[:, 48:60].mean((0, 1, 2))
    assert below[0] > 190
    assert below[1:].max() < 40


def test_frames_at_another_interval(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", amplitudes=None)
    assert numbers(read_frames(clip, interval_ms=1000)) == [0, 30, 60]


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 32000, 44100, 48000])
def test_sound_is_resampled_to_16_khz(tmp_path: Path, sample_rate: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=2.0, sample_rate=sample_rate)
    found, has_sound = read_waveform(clip)
    assert has_sound
    assert found.dtype == np.float32
    assert abs(len(found) - 32000) < 16000 * 2048 / sample_rate
    frequency, amplitude = _tone(found[8000:24000])
    assert frequency == TONE_HZ
    assert amplitude == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("amplitudes", "expected"),
    [((0.6, 0.2), 0.4), ((0.0, 0.6), 0.3), ((0.0, 0.0, 0.9, 0.0, 0.0, 0.0), 0.15)],
)
def test_all_channels_count_equally(
    tmp_path: Path, amplitudes: tuple[float, ...], expected: float
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=2.0, amplitudes=amplitudes, sample_rate=48000)
    _, amplitude = _tone(read_waveform(clip)[0][8000:24000])
    assert amplitude == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged_in_integers_as_pydub_does(tmp_path: Path, channels: int) -> None:
    generator = np.random.default_rng(channels)
    samples = generator.integers(-32768, 32768, (1000, channels), dtype=np.int16)
    samples[0], samples[1] = -32768, 32767
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    expected = []
    for row in samples.tolist():
        # audioop.tomono rounds the sum of halves down; with more channels each is divided alone.
        whole = sum(row) // channels if channels <= 2 else sum(x // channels for x in row)
        expected.append(whole / 32768)
    found, _ = read_waveform(path)
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_a_long_sound_is_averaged_as_a_short_one_is(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, (200_003, 2), dtype=np.int16)
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    expected = samples.astype(np.int64).sum(1) // 2 / 32768
    np.testing.assert_array_equal(read_waveform(path)[0], expected.astype(np.float32))


def test_no_audio_stream_is_three_seconds_of_silence(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1.0, amplitudes=None)
    found, has_sound = read_waveform(clip)
    assert not has_sound
    assert found.shape == (48000,)
    assert not found.any()
    assert not has_audio(clip)
    assert has_audio(make_clip(tmp_path / "sound.mp4", seconds=1.0))


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "cut off"])
def test_bad_videos(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad é.mp4"
    reasons = {
        "missing": "cannot be read",
        "empty": "is empty",
        "text": "is not a video",
        "cut off": "is not a video",
    }
    if kind == "cut off":
        make_clip(path)
        path.write_bytes(path.read_bytes()[:20000])
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"no video\n" * 100}[kind])
    for read in (read_frames, read_waveform, has_audio):
        with pytest.raises(BadVideo, match=reasons[kind]):
            read(path)
    assert capfd.readouterr().err == ""


def reasons(path: Path) -> set[str]:
    """Why a video is bad, by each way to read it."""
    found = set()
    for read in (read_frames, read_waveform, has_audio):
        with pytest.raises(BadVideo) as raised:
            read(path)
        found.add(str(raised.value))
    return found


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "pipe.mp4", tmp_path / "folder.mp4", Path("/dev/zero")):
        assert reasons(path) == {"is no regular file"}
    assert reasons(tmp_path / ("x" * 300)) == {"cannot be read (File name too long)"}
    assert reasons(tmp_path / "x\0.mp4") == {"cannot be read (embedded null byte)"}


def test_names_that_are_unusual(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1.0).read_bytes()
    for name in (b"x" * 251, b"a\nb\x1b[2J", "é %d %03d".encode(), b"http:x", b"\xff"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b".mp4"))
        path.write_bytes(clip)
        if name == b"\xff":
            assert reasons(path) == {"has a path that is not UTF-8: rename it"}
        else:
            assert len(read_frames(path)) > 1
            assert has_audio(path)


@pytest.mark.parametrize("named", ["/etc/passwd", "http://127.0.0.1:9/x.ts", "clip.mp4"])
def test_playlists_that_name_other_files(tmp_path: Path, named: str) -> None:
    make_clip(tmp_path / "clip.mp4", seconds=1.0)
    path = tmp_path / "list.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{named}\n#EXT-X-ENDLIST\n")
    assert all(reason.startswith("is not a video that FFmpeg can open") for reason in reasons(path))
    path.write_text(f"ffconcat version 1.0\nfile {named}\n")
    (reason,) = reasons(path)
    assert reason.startswith(("is a playlist", "is not a video that FFmpeg can open"))


def make_video(path: Path, codec: str, size: tuple[int, int], rate: int, count: int) -> Path:
    """Write black frames, which take next to nothing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "51", "g": "100000"}
        frame = av.VideoFrame(*size, stream.pix_fmt)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(count):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_sound(path: Path, rate: int, seconds: float) -> Path:
    """Write silence as FLAC, which takes next to nothing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        frame = av.AudioFrame("s16", "mono", 4096)
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        frame.sample_rate = rate
        for number in range(int(seconds * rate / 4096)):
            frame.pts = 4096 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def say_seconds(path: Path, seconds: float) -> None:
    """Change how long the header of a Matroska file says that it lasts."""
    content = bytearray(path.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3
    content[at : at + 8] = struct.pack(">d", 1000 * seconds)
    # So are the lengths of each stream, which are tags.
    path.write_bytes(content.replace(b"DURATION", b"DURATIOM"))


def test_a_video_that_lasts_too_long(tmp_path: Path) -> None:
    path = make_video(tmp_path / "long.mkv", "libx264", (16, 16), 1, 70)
    assert reasons(path) == {"lasts more than 60 s"}
    say_seconds(path, 3.0)
    for side in (224, None):
        with pytest.raises(BadVideo, match=r"^lasts more than 60 s$"):
            read_frames(path, side=side)
    with pytest.raises(BadVideo, match=r"^lasts more than 60 s$"):
        read_frames_by_number(path, lambda total, rate: [0])


def test_a_video_of_too_many_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "many.mp4", "libx264", (16, 16), 1000, 14_401)
    assert reasons(path) == {"has more than 14,400 frames"}
    path = make_video(tmp_path / "many.mkv", "libx264", (16, 16), 1000, 14_401)
    with pytest.raises(BadVideo, match=r"^has more than 14,400 frames$"):
        read_frames(path)


@pytest.mark.parametrize("codec", ["png", "libx264"])
def test_frames_that_are_too_large(tmp_path: Path, codec: str) -> None:
    path = make_video(tmp_path / "large.mov", codec, (4096, 2160), 30, 1)
    (reason,) = reasons(path)
    assert reason in (
        "has frames of 4096 x 2160; 3840 x 2160 is the most",
        "has frames of no known size, or of more than 3840 x 2160",
    )


def test_frames_that_are_larger_than_the_header_says(tmp_path: Path) -> None:
    path = make_video(tmp_path / "large.mp4", "libx264", (4096, 2160), 30, 1)
    content = bytearray(path.read_bytes())
    at = content.index(b"avc1", content.index(b"stsd")) + 28
    assert struct.unpack(">HH", content[at : at + 4]) == (4096, 2160)
    content[at : at + 4] = struct.pack(">HH", 64, 64)
    path.write_bytes(content)
    (reason,) = reasons(path)
    assert reason.startswith("has frames of ")


def test_a_header_that_asks_for_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"  # a GIF of one pixel on a canvas of 16,000 x 16,000
    canvas = b"GIF89a" + struct.pack("<HHBBB", 16_000, 16_000, 0x80, 0, 0) + bytes(6)
    pixel = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    path.write_bytes(canvas + pixel + b";")
    assert reasons(path) == {"has frames of no known size, or of more than 3840 x 2160"}


def test_frames_that_take_much_memory_together(tmp_path: Path) -> None:
    path = make_video(tmp_path / "large.mp4", "libx264", (1920, 1080), 30, 35)
    assert len(read_frames(path)) > 1
    with pytest.raises(BadVideo, match=r"^gives more than 180 MB of frames: take fewer of them"):
        read_frames(path, interval_ms=1, side=None)
    with pytest.raises(BadVideo, match=r"^gives more than 180 MB of frames: take fewer of them"):
        read_frames_by_number(path, lambda total, rate: [0] * 30)


def test_sound_that_is_too_long(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "long.mkv", 8000, 70)
    assert reasons(path) == {"lasts more than 60 s"}
    say_seconds(path, 3.0)
    with pytest.raises(BadVideo, match=r"^has sound of more than 60 s$"):
        read_waveform(path)
    path = make_sound(tmp_path / "dense.mkv", 192_000, 25)
    with pytest.raises(BadVideo, match=r"^has sound of more than 20 s$"):
        read_waveform(path)


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        (1, "lasts more than 60 s"),
        (2_000_000_000, "has sound of 2,000,000,000 samples a second; 384,000 is the most"),
    ],
)
def test_sound_of_an_odd_rate(tmp_path: Path, rate: int, reason: str) -> None:
    path = tmp_path / "sound.mp4"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(32_000))
    assert reasons(path) == {reason}


@pytest.mark.parametrize(
    ("module", "read"), [("cv2", read_frames), ("av", has_audio), ("av", read_waveform)]
)
def test_what_decodes_is_missing(
    module: str, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1.0)
    monkeypatch.setitem(sys.modules, module, None)
    expected = f"{module} is not installed or does not load: pip install 'avmit[media]'"
    with pytest.raises(AvmitError) as raised:
        read(clip)
    assert str(raised.value) == expected


def test_resampling_needs_neither_resampy_nor_numba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("resampy", "numba"):
        monkeypatch.setitem(sys.modules, module, None)
    for rate in (44_100, 22_050):
        clip = make_clip(tmp_path / f"{rate}.mp4", seconds=1.0, sample_rate=rate)
        assert read_waveform(clip)[0].any()


def test_sound_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    with pytest.raises(BadVideo):
        read_frames(path)


def test_a_stream_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    with pytest.raises(BadVideo):
        read_waveform(path)


def _tone(samples: npt.NDArray[np.float32]) -> tuple[float, float]:
    """The frequency in Hz and the amplitude of the strongest tone in one second at 16 kHz."""
    spectrum = np.abs(np.fft.rfft(samples)) / (len(samples) / 2)
    return float(spectrum.argmax()), float(spectrum.max())
