"""Clips that are damaged: a stimulus, or a reason, never anything else."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.people import textured_clip

from conversion.release.annotations import Video
from experiments.stimuli.clips import Clip
from experiments.stimuli.conditions import CONDITIONS, Condition, Stimulus
from experiments.stimuli.make import Making, make
from experiments.stimuli.media.facts import read_facts
from experiments.stimuli.media.opened import BadClip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good clip."""
    pytest.importorskip("av", minversion="18")
    made = tmp_path_factory.mktemp("damaged")
    textured_clip(made / "good.mp4", seconds=0.4)
    return made


@settings(max_examples=40)
@given(
    length=st.integers(0, 20_000),
    flips=st.lists(st.tuples(st.integers(0, 19_999), st.integers(1, 255)), max_size=8),
    condition=st.sampled_from(CONDITIONS),
    loudness=st.sampled_from([None, -30.0]),
)
def test_whatever_was_done_to_a_clip(
    folder: Path,
    length: int,
    flips: list[tuple[int, int]],
    condition: Condition,
    loudness: float | None,
) -> None:
    good = bytearray((folder / "good.mp4").read_bytes())
    for place, value in flips:
        good[place % len(good)] ^= value
    bad = folder / "bad.mp4"
    bad.write_bytes(good[: max(length, len(good) // 2)])
    video = Video("a/b.mp4", 0, 0, 3, "a", "a", "training", "a/b.tfrecord")
    clip = Clip("b", "a/b.mp4", video, 0, None)
    try:
        facts = read_facts(bad)
        heard = clip if facts["AudioPresent"] and condition != "visual" else None
        stimulus = Stimulus(clip, condition, heard)
        if stimulus.needs_sound and heard is None:
            return
        sound = None if heard is None else bad
        seconds = facts["RecordingDuration"]
        make(folder / "made", stimulus, Making(0, loudness), bad, sound, seconds)
        assert read_facts(folder / "made")["SHA256"]
    except BadClip as error:
        assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.mp4", "cannot be read (No such file or directory)"),
        ("empty.mp4", "is empty"),
        ("folder", "is no regular file"),
        ("list.ffconcat", "is a playlist, which names other files"),
    ],
)
def test_what_is_no_clip(folder: Path, name: str, said: str) -> None:
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "folder").mkdir(exist_ok=True)
    (folder / "list.ffconcat").write_text("ffconcat version 1.0\nfile good.mp4\n")
    with pytest.raises(BadClip) as error:
        read_facts(folder / name)
    assert str(error.value) == said


def test_what_lasts_too_long(folder: Path) -> None:
    long = textured_clip(folder / "long.mp4", seconds=61, rate=2, channels=0)
    with pytest.raises(BadClip) as error:
        read_facts(long)
    assert str(error.value) == "lasts more than 60 s"
