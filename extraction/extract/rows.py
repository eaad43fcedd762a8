"""What is embedded: the rated videos of the release, or those of a list."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError
from conversion.package.manifest import sha256_of
from conversion.release import annotations as csv_files
from conversion.release.videos import Videos
from extraction.extract.options import Options
from extraction.extract.subject import Row, Subject
from extraction.extract.whereabouts import Listed, Paths, Rated, Whereabouts
from extraction.lists.video_list import digest_of, read_video_list

_READ = ("ratings", "test_set")
"""The annotations that a config follows from."""


@dataclass(frozen=True)
class Rows:
    """The videos to embed, in order; `splits` has the places of each split's videos."""

    subject: Subject
    rows: Sequence[Row]
    splits: dict[str, Sequence[int]]
    whereabouts: Whereabouts

    @property
    def filenames(self) -> Iterator[str]:
        """What the videos are called, in order."""
        at = self.subject.fields.index("filename")
        return (row[at] for row in self.rows)

    @property
    def paths(self) -> Paths:
        """The files, to be gone through any number of times."""
        return Paths(self.whereabouts.root, self.whereabouts.files)


@dataclass(frozen=True)
class RatedVideos:
    """The videos of a release's annotations; `files` are those by the names of configs."""

    copy: Videos
    files: dict[str, Path]
    limit: int | None
    inputs: tuple[Path, ...]

    def made_of(self) -> dict[str, Any]:
        """Return what tells them from other videos."""
        sums: dict[str, Any] = {
            csv_files.FILES[name]: sha256_of(self.files[name])[:16] for name in _READ
        }
        return {"annotations": {**sums, **_limit(self.limit)}}

    def read(self) -> Rows:
        """Read the annotations.

        Raises:
            AvmitError: one cannot be read, or has a bad row.
        """
        release = csv_files.read_annotations(self.files)
        subject = Subject.rated(release.labels)
        videos = release.ratings[: self.limit]
        test = {video.tfrecord_filename for video in release.test_set}
        in_test = np.array([video.tfrecord_filename in test for video in videos])
        splits = {"train": np.flatnonzero(~in_test), "test": np.flatnonzero(in_test)}
        return Rows(
            subject if self.limit is None else subject.first(self.limit),
            videos,
            {name: places.tolist() for name, places in splits.items() if len(places)},
            Rated(self.copy, videos),
        )


@dataclass(frozen=True)
class ListedVideos:
    """The videos of a list, whose paths begin in `root`."""

    root: Path
    file: Path
    limit: int | None
    inputs: tuple[Path, ...]

    def made_of(self) -> dict[str, Any]:
        """Return what tells them from other videos.

        Raises:
            AvmitError: the list cannot be read.
        """
        return {"list": {self.file.name: digest_of(self.file)[:16], **_limit(self.limit)}}

    def read(self) -> Rows:
        """Read the list.

        Raises:
            AvmitError: it cannot be read, or has a bad row.
        """
        listed = read_video_list(self.file)
        about = {"list": self.file.name, "sha256": listed.sha256, "count": len(listed.rows)}
        subject = Subject.of_list(listed.columns, about)
        splits = {name: places.tolist() for name, places in listed.splits.items()}
        rows = listed.rows
        if self.limit is not None:
            rows = rows[: self.limit]
            splits = {name: [at for at in splits[name] if at < self.limit] for name in splits}
            subject = subject.first(self.limit)
        at = subject.fields.index("filename")
        return Rows(
            subject,
            rows,
            {name: places for name, places in splits.items() if places},
            Listed(self.root, [row[at] for row in rows]),
        )


def _limit(limit: int | None) -> dict[str, int]:
    return {} if limit is None else {"--limit": limit}


def choose_rows(
    root: Path, annotations: Path | None, options: Options
) -> RatedVideos | ListedVideos:
    """Find what is to be embedded, and read nothing yet.

    Raises:
        AvmitError: neither annotations nor a list is given, or both are; annotations are not there;
            or `root` is no folder of videos.
    """
    if (annotations is None) == (options.listed is None):
        raise AvmitError(
            "name what is to be embedded, by one of two: --annotations DIR for AVMIT's rated "
            "videos, --list FILE.csv for any others"
        )
    if options.limit is not None and options.limit < 1:
        raise AvmitError(f"--limit {options.limit}: it is a whole number from 1 on")
    if options.listed is not None:
        Listed(root, [])
        return ListedVideos(root, options.listed, options.limit, (root, options.listed))
    assert annotations is not None
    copy, files = Videos(root), csv_files.find_files(annotations)
    return RatedVideos(copy, files, options.limit, (root, annotations))
