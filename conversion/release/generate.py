"""Generate a small release in the published layout, with the published names, widths and quirks."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avmit import EMBEDDING_DIMS, TEST_CLASSES, AvmitError
from conversion.release.annotations import FILES, RawRating, TestVideo, Video
from conversion.tfrecord.record import Record, write_record

SET_FOLDERS = {"vggish_vgg16": "VGGish_VGG16", "yamnet_effnet": "YamNet_EffNetB0"}
STEPS = {"vggish_vgg16": ((3, 3), (6, 7)), "yamnet_effnet": ((5, 6), (6, 7))}
"""Audio and visual timesteps that occur in the published sets: (fewest, most)."""

_OTHER_MIT_LABEL = {"frying": "cooking", "raining": "dripping", "inflating": "blowing"}


def generate_release(
    folder: Path,
    *,
    videos_per_label: int = 12,
    test_per_label: int = 3,
    sets: Sequence[str] = tuple(EMBEDDING_DIMS),
    seed: int = 0,
) -> list[Video]:
    """Write a release below `folder` and return its rated videos; same arguments, same bytes.

    Three CSVs, and for each embedding set a folder of one record per video with random values, a
    third of the audio ones zero as after a ReLU. As in the published files, some rating sums
    exceed three, AVMIT and MIT labels differ, test videos stand among the others, and each set has
    a stray truncated `delete_this.tfrecord`. Files that are there stay as they are.

    Raises:
        AvmitError: a file that is there is not the one to be written.
    """
    generator = np.random.default_rng(seed)
    videos = _videos(generator, videos_per_label)
    test: list[TestVideo] = []
    for label in TEST_CLASSES:
        of_label = [video for video in videos if video.AVMIT_label == label]
        test += [
            TestVideo(
                video.filename,
                video.AVMIT_label,
                video.MIT_label,
                video.video_location,
                f"{label}/{label}_{number}.mp4",
                video.tfrecord_filename,
            )
            for number, video in enumerate(of_label[:test_per_label], 1)
        ]
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / FILES["ratings"], Video, videos)
    write_rows(folder / FILES["test_set"], TestVideo, test)
    write_rows(folder / FILES["raw_ratings"], RawRating, _raw_ratings(generator, videos))
    for config in sets:
        _write_set(folder / SET_FOLDERS[config], config, videos, generator)
    return videos


def write_rows(
    path: Path, kind: type[RawRating | Video | TestVideo], rows: Iterable[tuple[object, ...]]
) -> None:
    """Write rows of an kind of annotation as a CSV with its fields as columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(kind._fields)
    writer.writerows(rows)
    _put(path, text.getvalue().encode())


def random_record(video: Video, config: str, generator: np.random.Generator) -> Record:
    """Make a record for a video, with values and timesteps like those of a published set."""
    (audio_low, audio_high), (visual_low, visual_high) = STEPS[config]
    audio_dim, visual_dim = EMBEDDING_DIMS[config]
    return Record(
        video.filename,
        video.AVMIT_label,
        _activations(generator, int(generator.integers(audio_low, audio_high + 1)), audio_dim),
        _activations(generator, int(generator.integers(visual_low, visual_high + 1)), visual_dim),
    )


def _activations(generator: np.random.Generator, steps: int, width: int) -> npt.NDArray[np.float32]:
    values = generator.standard_normal((steps, width), dtype=np.float32)
    rectified: npt.NDArray[np.float32] = np.maximum(values + np.float32(0.43), np.float32(0))
    return rectified


def _videos(generator: np.random.Generator, per_label: int) -> list[Video]:
    videos = []
    for label in TEST_CLASSES:
        for number in range(per_label):
            mit_label = _OTHER_MIT_LABEL.get(label, label) if number % 4 == 3 else label
            stem = f"yt-{_youtube_id(generator)}_{generator.integers(1, 300)}"
            raters = 3 + int(generator.random() < 0.1) * int(generator.integers(1, 5))
            r1, r2, r3 = generator.multinomial(raters, [0.1, 0.1, 0.8]).tolist()
            location = "validation" if generator.random() < 0.1 else "training"
            videos.append(
                Video(
                    filename=f"{mit_label}/{stem}.mp4",
                    r1=r1,
                    r2=r2,
                    r3=r3,
                    AVMIT_label=label,
                    MIT_label=mit_label,
                    video_location=location,
                    tfrecord_filename=f"{label}/{stem}.tfrecord",
                )
            )
    return [videos[index] for index in generator.permutation(len(videos))]


def _youtube_id(generator: np.random.Generator) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(alphabet[index] for index in generator.integers(len(alphabet), size=11))


def _raw_ratings(generator: np.random.Generator, videos: Sequence[Video]) -> list[RawRating]:
    rows = [
        RawRating(v.filename, v.AVMIT_label, v.MIT_label, v.video_location, rating)
        for v in videos
        for rating, count in ((1, v.r1), (2, v.r2), (3, v.r3))
        for _ in range(count)
    ]
    return [rows[index] for index in generator.permutation(len(rows))]


def _write_set(
    root: Path, config: str, videos: Sequence[Video], generator: np.random.Generator
) -> None:
    data = b""
    for video in videos:
        data = write_record(random_record(video, config, generator))
        path = root / video.tfrecord_filename
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, data)
    _put(root / "delete_this.tfrecord", data[:200])


def _put(path: Path, data: bytes) -> None:
    """Write a file that is not there; one that is, and is another, is not this generator's."""
    if not os.path.lexists(path):
        path.write_bytes(data)
    elif path.is_symlink() or not path.is_file() or path.read_bytes() != data:
        raise AvmitError(f"{path} is there already and is another file: choose another --out")
