"""A small copy of Moments in Time, laid out as its users have it, and what holds for any."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np

from extraction.encoders.base import Side
from extraction.encoders.settings import Modality
from extraction.media.video_file import BadVideo
from extraction.pipeline.batches import Counts
from extraction.pipeline.embed import Embedded, embed


def lay_out(root: Path, annotations: Path, clips: list[Path]) -> Path:
    for index, row in enumerate(rows(annotations)):
        path = root / row["video_location"] / row["filename"]
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clips[index % len(clips)], path)
        os.utime(path, ns=(10**18, 10**18))
    return root


def rows(annotations: Path) -> list[dict[str, str]]:
    with (annotations / "video_ratings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def path_of(videos: Path, row: dict[str, str]) -> Path:
    return videos / row["video_location"] / row["filename"]


def going_on_anywhere_gives_the_same(
    clips: list[Path], sides: dict[Modality, Side], folder: Path
) -> list[Counts]:
    """Embed 23 videos, two of them bad, whole and from any point on; return what was batched."""
    files: list[Path | None] = [clips[index % len(clips)] for index in range(23)]
    files[7] = None
    files[12] = folder / "no.mp4"
    (folder / "no.mp4").write_bytes(b"no video")
    whole = list(embed(files, sides, 3))
    counts = [one.counts if isinstance(one, Embedded) else {} for one in whole]
    for done in (0, 1, 4, 5, 8, 12, 13, 17, 22, 23):
        rest = list(embed(files, sides, 2, counts[:done]))
        assert len(rest) == 23 - done
        for found, expected in zip(rest, whole[done:], strict=True):
            if isinstance(expected, BadVideo):
                assert str(found) == str(expected)
            else:
                assert isinstance(found, Embedded)
                assert (found.has_audio, found.counts) == (expected.has_audio, expected.counts)
                assert found.embeddings.keys() == sides.keys()
                for modality, matrix in found.embeddings.items():
                    np.testing.assert_array_equal(matrix, expected.embeddings[modality])
    return counts
