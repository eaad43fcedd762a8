"""Frames of a video, by the published extractor's procedure.

It used OpenCV 4.4. Newer versions silently give other frames; what follows holds to its results.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conversion.wording import format_bytes
from extraction.extras import require
from extraction.media.video_file import (
    MOST_BYTES_TAKEN,
    MOST_FRAMES,
    BadVideo,
    check,
    check_frame,
    check_seconds,
)

FRAME_INTERVAL_MS = 480
"""At least this lies between frames taken; the extractor of arXiv 2308.09685 used YAMNet's hop."""
FRAME_SIDE = 224
"""Height and width in pixels that VGG16 and EfficientNetB0 were trained with."""

Wanted = Callable[[int], bool]
"""Says of each number in turn whether that frame is taken."""


def read_frames(
    path: Path,
    interval_ms: float = FRAME_INTERVAL_MS,
    side: int | None = FRAME_SIDE,
    checked: bool = False,
) -> npt.NDArray[np.uint8]:
    """Take a frame of a video at least each `interval_ms`, the first one always.

    Frame n has the time 1000 n / (the stream's average rate) milliseconds, whatever its own
    timestamp, and is taken when that is `interval_ms` or more after the last one taken. `checked`
    says that the file's headers were looked at already.

    Returns:
        RGB, 0 to 255, of shape (T, side, side, 3), T >= 1; resized bilinearly without antialiasing,
        or with `side` None of the video's own size.

    Raises:
        BadVideo: the file is missing or unreadable, has no frame, or is beyond the bounds of
            `video_file`.
    """
    last = 0.0

    def choose(_: int, rate: float) -> Wanted:
        def wanted(number: int) -> bool:
            nonlocal last
            time = 1000 * number / rate if rate > 0 else 0.0
            if number == 0 or time >= last + interval_ms:
                last = time
                return True
            return False

        return wanted

    if not checked:
        check(path)
    return np.stack([image for _, image in _read(path, choose, side).taken])


def read_frames_by_number(
    path: Path,
    numbers: Callable[[int, float], Sequence[int]],
    side: int | None = None,
    checked: bool = False,
) -> npt.NDArray[np.uint8]:
    """Return the frames whose numbers `numbers` gives for (frames in all, frames a second).

    The first is number 0; any order will do, and one may be named several times. The frames are
    RGB as those of `read_frames`, of shape (len(numbers), side, side, 3).

    Raises:
        BadVideo: as for `read_frames`.
    """
    total = 0
    chosen: Sequence[int] = ()

    def choose(stated: int, rate: float) -> Wanted:
        nonlocal total, chosen
        total = total or stated
        chosen = numbers(total, rate)
        return frozenset(chosen).__contains__

    if not checked:
        check(path)
    while True:
        read = _read(path, choose, side)
        if read.total == total:
            by_number = dict(read.taken)
            _check_taken(len(chosen) * read.taken[0][1].nbytes)
            return np.stack([by_number[number] for number in chosen])
        # The file says another number of frames than it has: once more, with the true one.
        total = read.total


@dataclass(frozen=True)
class _Read:
    taken: list[tuple[int, npt.NDArray[np.uint8]]]
    total: int


def _read(path: Path, choose: Callable[[int, float], Wanted], side: int | None) -> _Read:
    """Decode a video and take the frames that choose(stated frames in all, frames a second) says.

    All others are decoded too, as those that are taken follow from them, but are not converted.
    """
    cv2 = _opencv()
    capture = _open_capture(cv2, path)
    taken: list[tuple[int, npt.NDArray[np.uint8]]] = []
    number = 0
    held = 0
    try:
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        # A broken header may say anything.
        stated = max(1, min(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), MOST_FRAMES))
        wanted = choose(stated, rate)
        while capture.grab():
            check_frame(*_size(cv2, capture), number + 1)
            check_seconds(number / rate if rate > 0 else 0.0)
            if wanted(number):
                decoded, image = capture.retrieve()
                if not decoded:
                    raise BadVideo(f"cannot be decoded at frame {number}")
                if side is not None:
                    image = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
                rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
                held += rgb.nbytes
                _check_taken(held)
                taken.append((number, rgb))
            number += 1
    except cv2.error as error:
        raise BadVideo(f"cannot be decoded at frame {number} ({error.err})") from error
    finally:
        capture.release()
    if not number:
        raise BadVideo("has no frame that can be decoded")
    return _Read(taken, number)


def _size(cv2: Any, capture: Any) -> tuple[int, int]:
    sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    width, height = (int(capture.get(side)) for side in sides)
    return width, height


def _check_taken(held: int) -> None:
    if held > MOST_BYTES_TAKEN:
        raise BadVideo(
            f"gives more than {format_bytes(MOST_BYTES_TAKEN)} of frames: take fewer of them, "
            "with a longer --frame-interval-ms or --hop-s"
        )


def _open_capture(cv2: Any, path: Path) -> Any:
    capture = cv2.VideoCapture()
    # One thread each: many videos are decoded at a time.
    if not capture.open(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]):
        raise BadVideo("is not a video that OpenCV can open")
    # OpenCV 4.4 turned frames by their metadata; whether later ones do by default has varied.
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _opencv() -> Any:
    # Both log bad videos on stderr, and those are reported by name already.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2 = require("cv2")
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
    return cv2
