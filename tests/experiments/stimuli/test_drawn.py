"""Whose sound is heard with whose frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.release.annotations import Video
from experiments.stimuli.clips import Clip
from experiments.stimuli.conditions import Condition, Stimulus, stimuli_of


def clip(label: str, number: int, source: str) -> Clip:
    site = "yt-" if number % 2 else ""  # names are there with and without it
    name = f"{label}/{site}{source}_{number}"
    video = Video(f"{name}.mp4", 0, 0, 3, label, label, "training", f"{name}.tfrecord")
    return Clip(f"{label}{number}", f"{label}/{label}_{number}.mp4", video, number, None)


def drawn(clips: list[Clip], condition: Condition, seed: int = 0) -> list[Stimulus]:
    return stimuli_of(clips, [condition], lambda clip: True, seed)


@given(sizes=st.lists(st.integers(2, 9), min_size=1, max_size=6), seed=st.integers(0, 2**64 - 1))
def test_each_sound_goes_to_one_other_clip_of_the_class(sizes: list[int], seed: int) -> None:
    clips = [clip(f"c{k}", n, f"{k}v{n}") for k, size in enumerate(sizes) for n in range(size)]
    made = drawn(clips, "same-class-audio", seed)
    assert [stimulus.clip for stimulus in made] == clips
    heard = [stimulus.sound for stimulus in made]
    assert {*heard} == {*clips}
    for stimulus in made:
        assert stimulus.sound is not None and stimulus.sound != stimulus.clip
        assert stimulus.sound.label == stimulus.clip.label
    assert made == drawn(clips, "same-class-audio", seed)


@given(classes=st.integers(2, 7), size=st.integers(1, 8), seed=st.integers(0, 2**64 - 1))
def test_each_sound_goes_to_a_clip_of_another_class(classes: int, size: int, seed: int) -> None:
    clips = [clip(f"c{k}", n, f"{k}v{n}") for k in range(classes) for n in range(size)]
    made = drawn(clips, "other-class-audio", seed)
    assert {stimulus.sound for stimulus in made} == {*clips}
    assert all(s.sound is not None and s.sound.label != s.clip.label for s in made)


@given(seed=st.integers(0, 1000))
def test_clips_of_one_longer_video_do_not_exchange_sounds(seed: int) -> None:
    clips = [clip("a", n, f"video{n // 2}") for n in range(8)]
    for stimulus in drawn(clips, "same-class-audio", seed):
        assert stimulus.sound is not None
        assert stimulus.sound.source != stimulus.clip.source


def test_too_few_to_draw_from() -> None:
    with pytest.raises(AvmitError) as error:
        drawn([clip("a", 0, "x"), clip("a", 1, "x")], "same-class-audio")
    assert str(error.value) == (
        "--condition same-class-audio: of the 2 clips of 'a', not each has another whose sound it "
        "could take: choose more clips, or leave the condition out"
    )
    with pytest.raises(AvmitError, match="clips of any class, not each has another"):
        drawn([clip("a", n, str(n)) for n in range(4)], "other-class-audio")
    with pytest.raises(AvmitError) as alone:
        drawn([clip("a", 0, "x")], "same-class-audio")
    assert str(alone.value) == (
        "--condition same-class-audio: the one clip of 'a' has no other whose sound it could take: "
        "choose more clips, or leave the condition out"
    )
