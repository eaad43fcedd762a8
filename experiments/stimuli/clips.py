"""Which clips become stimuli, and what each is called."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from avmit import AvmitError
from conversion.release.annotations import Annotations, TestVideo, Video
from conversion.whole import read_regular
from conversion.wording import some
from experiments.choices.sources import source_of

_MOST_BYTES = 64_000_000
_NAME = re.compile(r"(?:[^/.\\\x00]|\.[^/.\\\x00]|\.\.[^/\\\x00])[^/\\\x00]*")
"""A file's name in one folder, neither `.` nor `..`."""


@dataclass(frozen=True)
class Clip:
    """A rated video as a stimulus.

    `id` is letters and digits alone, as BIDS wants labels: of `inflating/inflating_1.mp4` it is
    `inflating1`. `row` and `test_row` say where it stands in the configs `ratings` and `test_set`,
    counted from 0.
    """

    id: str
    name: str
    video: Video
    row: int
    test_row: int | None

    @property
    def label(self) -> str:
        """Its AVMIT label."""
        return self.video.AVMIT_label

    @property
    def source(self) -> str:
        """The longer video that it was cut from."""
        return source_of(self.video.filename)


def choose_clips(
    annotations: Annotations, labels: Sequence[str] = (), listed: Path | None = None
) -> list[Clip]:
    """Return the test set's clips, or those that the file `listed` names; only those of `labels`.

    A line of `listed` is a video's `filename`, `tfrecord_filename` or `new_filename`. The clips are
    in the order of test_set.csv, or of the list.

    Raises:
        AvmitError: a label or a line names nothing, a name could not be one of a file, or two clips
            would have one name.
    """
    rows = {video.tfrecord_filename: row for row, video in enumerate(annotations.ratings)}
    tested = {video.tfrecord_filename: row for row, video in enumerate(annotations.test_set)}

    def clip(key: str) -> Clip:
        test_row = tested.get(key)
        test = None if test_row is None else annotations.test_set[test_row]
        video = annotations.ratings[rows[key]]
        return Clip(*_names(video, test), video, rows[key], test_row)

    keys: Iterable[str] = tested
    if listed is not None:
        keys = _listed(listed, annotations)
    clips = [clip(key) for key in keys]
    there = sorted({clip.label for clip in clips})
    for label in labels:
        if label not in there:
            raise AvmitError(f"--label {label}: no such label; there are {', '.join(there)}")
    chosen = [clip for clip in clips if not labels or clip.label in labels]
    if not chosen:
        raise AvmitError("there is no clip to choose: test_set.csv has no rows")
    _check_different(chosen)
    return chosen


def _names(video: Video, test: TestVideo | None) -> tuple[str, str]:
    """Return a clip's id and its file name, `label/name.mp4`."""
    if test is None:
        # The names of others' videos differ in capitals and hyphens alone, which ids may not have.
        digest = sha256(video.tfrecord_filename.encode()).hexdigest()[:10]
        stem = video.tfrecord_filename.removesuffix(".tfrecord")
        return f"{_plain(video.AVMIT_label)}x{digest}", _checked(f"{stem}.mp4")
    name = _checked(test.new_filename)
    return _plain(name.rpartition("/")[2].rpartition(".")[0]) or _plain(name), name


def _checked(name: str) -> str:
    parts = name.split("/")
    if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise AvmitError(f"'{name}' is no name for a stimulus, such as inflating/inflating_1.mp4")
    return name


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)


def _check_different(clips: Sequence[Clip]) -> None:
    seen: dict[str, Clip] = {}
    for clip in clips:
        for kind in (f"id {clip.id.lower()}", f"file {clip.name.lower()}"):
            other = seen.setdefault(kind, clip)
            if other is not clip:
                names = f"{other.video.tfrecord_filename} and {clip.video.tfrecord_filename}"
                raise AvmitError(f"{names} would both have the {kind}: choose one of them")


def _listed(path: Path, annotations: Annotations) -> list[str]:
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise AvmitError(f"--list {path} cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise AvmitError(f"--list {path} cannot be read (no text in UTF-8)") from None
    known = {video.new_filename: video.tfrecord_filename for video in annotations.test_set}
    for video in annotations.ratings:
        known[video.filename] = known[video.tfrecord_filename] = video.tfrecord_filename
    lines = [line.strip() for line in text.splitlines()]
    if unknown := [line for line in lines if line and line not in known]:
        raise AvmitError(
            f"--list {path}: not among the rated videos: {some(unknown)}: name one a line, by its "
            "filename, tfrecord_filename or new_filename"
        )
    keys = dict.fromkeys(known[line] for line in lines if line)
    if not keys:
        raise AvmitError(f"--list {path} names no video: one a line, such as its filename")
    return list(keys)
