"""The tables of a folder of stimuli, and what each of their columns says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.bids import json_bytes, tsv
from experiments.stimuli.clips import Clip
from experiments.stimuli.conditions import Condition, Stimulus

STIMULI, ROWS, MISSING = "stimuli", "rows", "missing"
"""Names of tables; each is a .tsv, with its columns' meaning in a .json beside it."""

Column = dict[str, Any]

_STIMULI: dict[str, Column] = {
    "stimulus_id": {"Description": "Name of the stimulus: stim_id in events.tsv"},
    "type": {"Description": "What the file holds", "Levels": ["audiovideo", "audio", "video"]},
    "filename": {"Description": "The file, below this folder: stim_file in events.tsv"},
    "present": {"Description": "Whether the file is here", "Levels": ["true", "false"]},
    "label": {"Description": "AVMIT label: the action that was rated in the clip"},
    "condition": {
        "Description": "What was done to the clip",
        "Levels": {
            "audiovisual": "The clip as it is",
            "audio": "Sound alone",
            "visual": "Frames alone, as they were compressed",
            "same-class-audio": "Sound of another clip of the label",
            "other-class-audio": "Sound of a clip of another label",
            "scrambled-audio": "Sound with random phases, magnitudes of all frequencies kept",
            "scrambled-frames": "Frames with random phases, the same for all frames and colours",
        },
    },
    "clip": {"Description": "stimulus_id of the clip that is seen, or heard where none is seen"},
    "audio_clip": {"Description": "stimulus_id of the clip that is heard"},
    "duration": {"Description": "Length of the file", "Units": "s"},
    "frame_rate": {"Description": "Frames a second, on average", "Units": "Hz"},
    "frames": {"Description": "Number of frames, counted"},
    "width": {"Description": "Width of a frame", "Units": "pixel"},
    "height": {"Description": "Height of a frame", "Units": "pixel"},
    "video_codec": {"Description": "FFmpeg's name of the frames' codec"},
    "audio_present": {
        "Description": "Whether there is a sound stream",
        "Levels": ["true", "false"],
    },
    "audio_codec": {"Description": "FFmpeg's name of the sound's codec"},
    "sample_rate": {"Description": "Samples of sound a second", "Units": "Hz"},
    "channels": {"Description": "Number of channels"},
    "loudness": {
        "Description": (
            "Integrated loudness of the file by EBU R128 (ITU-R BS.1770), measured by FFmpeg's "
            "ebur128; n/a of silence"
        ),
        "Units": "LUFS",
    },
    "level": {
        "Description": "Root mean square of all samples of all channels; 0 is a full-scale square",
        "Units": "dB",
    },
    "gain": {
        "Description": "By how much the sound was amplified; n/a where it is the clip's as it is",
        "Units": "dB",
    },
    "target_loudness": {"Description": "The loudness that was asked for", "Units": "LUFS"},
    "seed": {"Description": "Seed of what was drawn: whose sound is heard, or random phases"},
    "size": {"Description": "Length of the file", "Units": "byte"},
    "sha256": {"Description": "SHA-256 of the file"},
}

_ROWS: dict[str, Column] = {
    "stimulus_id": {"Description": "The stimulus, as in stimuli.tsv"},
    "label": {"Description": "AVMIT label"},
    "filename": {"Description": "The video in Moments in Time: `filename` in every config"},
    "tfrecord_filename": {
        "Description": "The video's embeddings as published: `tfrecord_filename` in every config"
    },
    "new_filename": {"Description": "The video in the config test_set"},
    "MIT_label": {"Description": "Its class in Moments in Time"},
    "video_location": {"Description": "Its folder in Moments in Time"},
    "audio_filename": {"Description": "`filename` of the video that is heard"},
    "audio_tfrecord_filename": {"Description": "`tfrecord_filename` of the video that is heard"},
    "ratings_row": {"Description": "Its row in the config ratings, split train, from 0"},
    "test_set_row": {"Description": "Its row in the config test_set, split test, from 0"},
}

_MISSING: dict[str, Column] = {
    "stimulus_id": {"Description": "The stimulus that could not be made"},
    "filename": {"Description": "The video in Moments in Time"},
    "tfrecord_filename": {"Description": "The video's embeddings as published"},
    "reason": {"Description": "Why"},
}

_FACTS = {
    "duration": "RecordingDuration",
    "frame_rate": "VideoFrameRate",
    "frames": "VideoFrameCount",
    "width": "ImageWidth",
    "height": "ImageHeight",
    "video_codec": "VideoCodec",
    "audio_present": "AudioPresent",
    "audio_codec": "AudioCodec",
    "sample_rate": "AudioSampleRate",
    "channels": "AudioChannelCount",
    "loudness": "AudioLoudness",
    "level": "AudioLevel",
    "gain": "AudioGain",
    "size": "FileSize",
    "sha256": "SHA256",
}
"""Columns of stimuli.tsv, by what they are called in sidecars."""


@dataclass(frozen=True)
class Row:
    """A stimulus with its file's name, whether that is there, and its sidecar."""

    stimulus: Stimulus
    filename: str
    present: bool
    sidecar: dict[str, Any]


@dataclass(frozen=True)
class Lacking:
    """A stimulus that cannot be made."""

    stimulus: Stimulus
    reason: str


def named_once(missing: Sequence[Lacking], wanted: Sequence[Condition]) -> list[str]:
    """Say of each clip once why it is lacking, and under which of the `wanted` if not under all."""
    under: dict[tuple[Clip, str], list[Condition]] = {}
    for lacking in missing:
        key = lacking.stimulus.clip, lacking.reason
        under.setdefault(key, []).append(lacking.stimulus.condition)
    return [
        f"{clip.video.filename} {reason}"
        if conditions == [*wanted]
        else f"{clip.video.filename}, {' and '.join(conditions)}, {reason}"
        for (clip, reason), conditions in under.items()
    ]


def tables(
    rows: Sequence[Row],
    missing: Sequence[Lacking],
    numbers: dict[str, dict[str, tuple[str, int]]],
) -> dict[str, bytes]:
    """Return the tables' files by name; `missing` alone is left out if there is nothing.

    `numbers` says of each config of a package, by `tfrecord_filename`, a video's split and row.
    """
    made = _table(STIMULI, _STIMULI, map(_stimulus, rows))
    columns = dict(_ROWS)
    for config in numbers:
        columns[f"{config}_split"] = {"Description": f"The video's split in the config {config}"}
        columns[f"{config}_row"] = {"Description": f"Its row in that split of {config}, from 0"}
    made |= _table(ROWS, columns, (_keys(row.stimulus, numbers) for row in rows))
    if missing:
        made |= _table(MISSING, _MISSING, map(_lacking, missing))
    return made


def _table(
    name: str, columns: dict[str, Column], rows: Iterable[dict[str, object]]
) -> dict[str, bytes]:
    return {f"{name}.tsv": tsv(list(columns), rows), f"{name}.json": json_bytes(columns)}


def _stimulus(row: Row) -> dict[str, object]:
    stimulus, sidecar = row.stimulus, row.sidecar
    return {
        "stimulus_id": stimulus.id,
        "type": stimulus.type,
        "filename": row.filename,
        "present": row.present,
        "label": stimulus.clip.label,
        "condition": stimulus.condition,
        "clip": f"stim-{stimulus.clip.id}",
        "audio_clip": stimulus.sound and f"stim-{stimulus.sound.id}",
        "target_loudness": sidecar["Recipe"].get("TargetLoudness"),
        "seed": sidecar["Recipe"].get("Seed"),
        **{column: sidecar.get(name) for column, name in _FACTS.items()},
    }


def _keys(stimulus: Stimulus, numbers: dict[str, dict[str, tuple[str, int]]]) -> dict[str, object]:
    clip, sound = stimulus.clip, stimulus.sound
    keys: dict[str, object] = {
        "stimulus_id": stimulus.id,
        "label": clip.label,
        "filename": clip.video.filename,
        "tfrecord_filename": clip.video.tfrecord_filename,
        "new_filename": None if clip.test_row is None else clip.name,
        "MIT_label": clip.video.MIT_label,
        "video_location": clip.video.video_location,
        "audio_filename": sound and sound.video.filename,
        "audio_tfrecord_filename": sound and sound.video.tfrecord_filename,
        "ratings_row": clip.row,
        "test_set_row": clip.test_row,
    }
    for config, of_config in numbers.items():
        split, row = of_config.get(clip.video.tfrecord_filename, (None, None))
        keys |= {f"{config}_split": split, f"{config}_row": row}
    return keys


def _lacking(lacking: Lacking) -> dict[str, object]:
    video = lacking.stimulus.clip.video
    return {
        "stimulus_id": lacking.stimulus.id,
        "filename": video.filename,
        "tfrecord_filename": video.tfrecord_filename,
        "reason": lacking.reason,
    }
