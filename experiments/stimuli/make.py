"""Make one stimulus of its clips."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.stimuli.conditions import Stimulus
from experiments.stimuli.media.opened import BadClip, failure, pyav
from experiments.stimuli.media.scramble import scrambled_frames, scrambled_sound
from experiments.stimuli.media.sound import Sound, loudness, read_sound
from experiments.stimuli.media.write import X264, write_mp4, write_wav


@dataclass(frozen=True)
class Making:
    """How stimuli are made: the seed of what is drawn, and the loudness of all sound in LUFS."""

    seed: int = 0
    loudness: float | None = None


@dataclass(frozen=True)
class Made:
    """What was done to a stimulus' sound: amplified by `gain` dB, None where it is as it was."""

    gain: float | None = None


def is_copy(stimulus: Stimulus, making: Making) -> bool:
    """Tell whether the stimulus is the clip's file as it is."""
    return stimulus.condition == "audiovisual" and (
        making.loudness is None or stimulus.sound is None
    )


def recipe(stimulus: Stimulus, making: Making) -> dict[str, Any]:
    """Return what the stimulus' bytes follow from, beside its sources' bytes."""
    made: dict[str, Any] = {"Condition": stimulus.condition}
    if is_copy(stimulus, making):
        return made
    if making.loudness is not None and stimulus.sound is not None:
        made["TargetLoudness"] = making.loudness
    if stimulus.condition not in ("audiovisual", "audio", "visual"):
        made["Seed"] = making.seed
    if stimulus.condition == "scrambled-frames":
        made["Encoder"] = "libx264 " + " ".join(f"{key}={value}" for key, value in X264.items())
    versions = pyav().library_versions
    named = ", ".join(
        f"{name} {'.'.join(map(str, versions[name]))}" for name in ("libavcodec", "libavfilter")
    )
    return made | {"Software": f"PyAV {pyav().__version__}, {named}"}


def make(
    out: Path,
    stimulus: Stimulus,
    making: Making,
    video: Path,
    sound_of: Path | None,
    seconds: float | None,
) -> Made:
    """Write a stimulus to `out`; `video` and `sound_of` are its clips' files.

    Sound of another clip is cut, or filled up with zeros, to the `seconds` that the clip lasts.

    Raises:
        BadClip: it cannot be made of these files.
    """
    condition, seed, name = stimulus.condition, making.seed, stimulus.clip.video.tfrecord_filename
    if is_copy(stimulus, making):
        try:
            shutil.copyfile(video, out)
        except OSError as error:
            raise failure("cannot be copied", error) from error
        return Made()
    if condition == "visual":
        write_mp4(out, copied_frames=video)
        return Made()
    sound = None
    if sound_of is not None and (condition != "scrambled-frames" or making.loudness is not None):
        sound = read_sound(sound_of)
        if sound is None:
            raise BadClip("has no sound")
        if sound_of != video and seconds:
            sound = sound.lasting(seconds)
        if condition == "scrambled-audio":
            sound = scrambled_sound(sound, seed, name)
    gain = None if sound is None else _gain(sound, making.loudness)
    if sound is not None and gain:
        sound = sound.amplified(gain)
    if condition == "audio":
        assert sound is not None
        write_wav(out, sound)
    elif condition == "scrambled-frames":
        frames = scrambled_frames(video, seed, name), video
        copied = sound_of if sound is None else None
        write_mp4(out, frames=frames, copied_sound=copied, sound=sound)
    else:
        write_mp4(out, copied_frames=video, sound=sound)
    return Made(None if gain is None else round(gain, 3))


def _gain(sound: Sound, target: float | None) -> float:
    """Return the gain in dB that brings sound to a loudness, or that keeps it within full scale.

    Raises:
        BadClip: it is silent, or would go beyond full scale.
    """
    if target is None:
        return min(0.0, sound.headroom())
    measured = loudness(sound)
    if measured is None or not math.isfinite(sound.headroom()):
        raise BadClip("is silent, so that no loudness can be given to it")
    gain = target - measured
    if gain > sound.headroom():
        raise BadClip(
            f"would be {gain - sound.headroom():.1f} dB beyond full scale at {target:g} LUFS: "
            "choose a lower --loudness"
        )
    return gain
