"""The conditions, each by its definition, on the files as they are written."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.commands import Run
from support.people import luma_of, packets_of, sound_of, table, textured_clip, tree

from conversion.release.annotations import Video
from experiments.stimuli.build import Options, write_stimuli
from experiments.stimuli.clips import Clip
from experiments.stimuli.conditions import CONDITIONS, Stimulus
from experiments.stimuli.make import Making, make
from experiments.stimuli.media.scramble import (
    FRAMES,
    phases,
    scrambled_frames,
    scrambled_planes,
)
from experiments.stimuli.media.sound import Sound, loudness
from experiments.stimuli.media.write import write_mp4, write_wav

Study = tuple[Path, Path]
LABELS = ("--label", "frying", "--label", "barking", "--label", "mowing")


@pytest.fixture(scope="module")
def made(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips under every condition."""
    out = tmp_path_factory.mktemp("made")
    labels = tuple(LABELS[1::2])
    options = Options(labels=labels, conditions=CONDITIONS, workers=2)
    write_stimuli(*study, out, options, lambda done, total: None)
    return out / "stimuli"


def under(made: Path, condition: str) -> list[tuple[Path, dict[str, str]]]:
    rows = table(made / "stimuli.tsv")
    return [(made / row["filename"], row) for row in rows if row["condition"] == condition]


def clips(made: Path) -> dict[str, Path]:
    return {row["clip"]: path for path, row in under(made, "audiovisual")}


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def test_all_clips_are_there_under_all_conditions(made: Path) -> None:
    for condition in CONDITIONS:
        assert {row["clip"] for _, row in under(made, condition)} == {*clips(made)}


def test_audio_alone(made: Path) -> None:
    for path, row in under(made, "audio"):
        assert (path.suffix, row["type"]) == (".wav", "audio")
        assert row["audio_clip"] == row["clip"]
        heard, original = sound_of(path), sound_of(clips(made)[row["clip"]])
        assert heard.shape[1] == 22050
        np.testing.assert_allclose(heard, original[:, :22050], atol=1 / 32000)
        assert (row["video_codec"], row["audio_codec"]) == ("n/a", "pcm_s16le")


def test_visual_alone(made: Path) -> None:
    for path, row in under(made, "visual"):
        assert (row["type"], row["audio_present"], row["audio_clip"]) == ("video", "false", "n/a")
        assert packets_of(path, "video") == packets_of(clips(made)[row["clip"]], "video")


@pytest.mark.parametrize("condition", ["same-class-audio", "other-class-audio"])
def test_the_sound_of_another_clip(made: Path, condition: str) -> None:
    labels = {row["clip"]: row["label"] for _, row in under(made, "audiovisual")}
    taken = []
    for path, row in under(made, condition):
        assert row["audio_clip"] != row["clip"]
        same = labels[row["audio_clip"]] == labels[row["clip"]]
        assert same == (condition == "same-class-audio")
        taken.append(row["audio_clip"])
        assert packets_of(path, "video") == packets_of(clips(made)[row["clip"]], "video")
        heard, original = sound_of(path), sound_of(clips(made)[row["audio_clip"]])
        np.testing.assert_allclose(heard, original[:, : heard.shape[1]], atol=1 / 32000)
    assert sorted(taken) == sorted(labels)


def test_scrambled_sound(made: Path) -> None:
    for path, row in under(made, "scrambled-audio"):
        assert packets_of(path, "video") == packets_of(clips(made)[row["clip"]], "video")
        heard = sound_of(path)
        original = sound_of(clips(made)[row["clip"]])[:, : heard.shape[1]]
        after, before = np.fft.rfft(heard), np.fft.rfft(original)
        apart = np.linalg.norm(abs(after) - abs(before)) / np.linalg.norm(before)
        assert apart < 0.01
        turned = np.angle(after * before.conj())
        assert abs(np.exp(1j * turned).mean()) < 0.05  # 0 of phases that are evenly spread
        assert abs(level(heard) - level(original)) < 0.5
        assert abs(np.corrcoef(heard[0], original[0])[0, 1]) < 0.1
        if len(heard) == 2:  # what is between the channels stays
            between = [np.angle(s[0] * s[1].conj()) for s in (after, before)]
            assert np.median(abs(np.angle(np.exp(1j * (between[0] - between[1]))))) < 0.05


def test_scrambled_frames(made: Path) -> None:
    for path, row in under(made, "scrambled-frames"):
        original = clips(made)[row["clip"]]
        assert packets_of(path, "audio") == packets_of(original, "audio")
        after, before = luma_of(path), luma_of(original)
        assert after.shape == before.shape
        means = after.mean((1, 2)) - before.mean((1, 2))
        contrasts = after.std((1, 2)) / before.std((1, 2))
        assert abs(means).max() < 1
        assert abs(contrasts - 1).max() < 0.03
        spectra = [
            np.fft.rfft2(frames - frames.mean((1, 2), keepdims=True)) for frames in (after, before)
        ]
        apart = np.linalg.norm(abs(spectra[0]) - abs(spectra[1])) / np.linalg.norm(spectra[1])
        assert apart < 0.1  # after H.264, and within the levels that video has
        turned = np.exp(1j * np.angle(spectra[0] * spectra[1].conj()))
        weights = abs(spectra[1])
        assert abs((turned * weights).sum() / weights.sum()) < 0.2
        # The same phases in all frames: what one frame turned by, the next did, too.
        strong = weights > np.percentile(weights, 80)
        between = np.angle(turned[1:] * turned[:-1].conj())[strong[1:] & strong[:-1]]
        assert np.median(abs(between)) < 0.2


def test_planes_keep_magnitude_mean_and_contrast() -> None:
    generator = np.random.default_rng(0)
    planes = np.clip(generator.normal(126, 20, (2, 3, 32, 48)), 0, 255).astype(np.uint8)
    factors = phases((32, 48), 1, "x", FRAMES)
    made = [scrambled_planes(frame, factors, True).astype(float) for frame in planes]
    for after, before in zip(made, planes, strict=True):
        assert abs(after.mean((1, 2)) - before.mean((1, 2))).max() < 0.1
        assert abs(after.std((1, 2)) / before.std((1, 2)) - 1).max() < 0.01
        spectra = abs(np.fft.rfft2(after)), abs(np.fft.rfft2(before.astype(float)))
        assert np.linalg.norm(spectra[0] - spectra[1]) / np.linalg.norm(spectra[1]) < 0.01


@pytest.mark.parametrize("value", [0, 16, 235, 255])
def test_frames_of_one_level_stay_so(value: int) -> None:
    planes = np.full((3, 8, 8), value, np.uint8)
    after = scrambled_planes(planes, phases((8, 8), 0, "x", FRAMES), True)
    np.testing.assert_array_equal(after, planes)


@pytest.mark.parametrize("shape", [(7,), (8,), (6, 9), (5, 8)])
def test_phases_make_real_signals_and_spare_the_mean(shape: tuple[int, ...]) -> None:
    factors = phases(shape, 3, "clip", 0)
    np.testing.assert_allclose(abs(factors), 1)
    assert factors.flat[0] == 1
    signal = np.random.default_rng(1).normal(size=shape)
    mixed = np.fft.irfftn(np.fft.rfftn(signal) * factors, shape, axes=range(len(shape)))
    np.testing.assert_allclose(abs(np.fft.fftn(mixed)), abs(np.fft.fftn(signal)), atol=1e-9)
    assert not np.array_equal(factors, phases(shape, 4, "clip", 0))
    assert not np.array_equal(factors, phases(shape, 3, "other", 0))


def test_one_loudness_for_all(study: Study, run: Run, tmp_path: Path) -> None:
    conditions = [word for name in CONDITIONS for word in ("--condition", name)]
    named = ("--videos", study[0], "--annotations", study[1], "--out", "out", *LABELS)
    ran = run("stimuli", *named, *conditions, "--loudness", -31)
    assert (ran.code, ran.err) == (0, "")
    assert "loudness: -31.0 to -31.0 LUFS (EBU R128)" in ran.out.splitlines()
    folder = tmp_path / "out" / "stimuli"
    for row in table(folder / "stimuli.tsv"):
        if row["condition"] != "visual":
            assert abs(float(row["loudness"]) + 31) < 0.1
            assert (row["target_loudness"], row["gain"] != "n/a") == ("-31.0", True)
    before = tree(tmp_path / "out")
    ran = run("stimuli", *named, "--condition", "audio", "--loudness", 0, "--out", "loud")
    assert ran.code == 1
    assert "dB beyond full scale at 0 LUFS: choose a lower --loudness" in ran.err
    assert tree(tmp_path / "out") == before


def test_the_loudness_is_that_of_ebu_r128() -> None:
    pytest.importorskip("av", minversion="18")
    # EBU Tech 3341, test cases 1 and 2: a stereo sine of 1 kHz at -23 and -33 dBFS.
    time = np.arange(48000 * 3) / 48000
    for level_db in (-23.0, -33.0):
        sine = 10 ** (level_db / 20) * np.sin(2 * np.pi * 1000 * time)
        measured = loudness(Sound(np.stack([sine, sine]), 48000, "stereo"))
        assert measured is not None and abs(measured - level_db) < 0.1
    assert loudness(Sound(np.zeros((1, 48000)), 48000, "mono")) is None


def test_a_loud_sound_is_softened_rather_than_cut_off(tmp_path: Path) -> None:
    pytest.importorskip("av", minversion="18")
    loud = textured_clip(tmp_path / "loud.mp4", loud=0.6)
    video = Video("a/b.mp4", 0, 0, 3, "a", "a", "training", "a/b.tfrecord")
    clip = Clip("b", "a/b.mp4", video, 0, None)
    out = tmp_path / "made.mp4"
    stimulus = Stimulus(clip, "scrambled-audio", clip)
    gain = make(out, stimulus, Making(), loud, loud, 1.0).gain
    assert gain is not None and gain < 0
    heard, original = sound_of(out), sound_of(loud)[:, :22050]
    assert abs(heard).max() < 1
    assert abs(level(heard) - level(original) - gain) < 0.01


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_not_taken_for_a_bad_clip(tmp_path: Path) -> None:
    pytest.importorskip("av", minversion="18")
    clip = textured_clip(tmp_path / "clip.mp4")
    full = Path("/dev/full")
    sound = Sound(np.full((1, 48000), 0.1), 48000, "mono")
    frames = scrambled_frames(clip, 0, "x"), clip
    writes: list[Callable[[], None]] = [
        lambda: write_wav(full, sound),
        lambda: write_mp4(full, copied_frames=clip, sound=sound),
        lambda: write_mp4(full, frames=frames, copied_sound=clip),
    ]
    for write in writes:
        with pytest.raises(OSError) as error:
            write()
        assert error.value.errno == errno.ENOSPC
