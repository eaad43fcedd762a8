"""What an encoder takes of the first videos, before any is embedded."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt

from extraction.encoders.base import Samples
from extraction.media import forms as taking
from extraction.media.forms import Form, Sound
from extraction.media.video_file import BadVideo


def samples(videos: Iterable[Path | None]) -> Samples:
    """Return what gives of one video after the other what a form takes; bad ones are passed over.

    None stands for a missing file. A video is decoded when it is asked for.
    """

    def taken(form: Form) -> Iterator[npt.NDArray[Any]]:
        for path in videos:
            try:
                if path is not None and isinstance(form, Sound):
                    yield taking.sound(path, form)[0]
                elif path is not None and not isinstance(form, Sound):
                    yield taking.images(path, form)
            except BadVideo:
                continue

    return taken
