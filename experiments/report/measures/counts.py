"""What the annotations of a package's videos say, counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conversion.package.manifest import Manifest
from conversion.package.pictures import pictured
from experiments.show.finding import stem_of
from experiments.show.small import small_columns

_CLASS = ("AVMIT_label", "label")
_COUNTS = ("r1", "r2", "r3")
_SITES = {"yt": "YouTube", "flickr": "Flickr", "vine": "Vine", "meta": "Metacafe"}
"""What stands before the first dash of a clip's name; see `experiments.choices.sources`."""
NO_SITE = "not named"

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Videos:
    """The videos of a package; what it does not say of them is None."""

    filenames: list[str]
    splits: list[str]
    labels: list[str] | None
    mit_labels: list[str] | None
    ratings: Numbers | None
    """(videos, 3): how many ratings are 1, 2 and 3."""


def read_videos(package: Path, manifests: Mapping[str, Manifest]) -> Videos:
    """Return the videos of `ratings`, or else of the first config with embeddings, or else of any.

    Raises:
        AvmitError: a shard cannot be read.
    """
    config = next(iter(pictured(manifests)), list(manifests)[-1])
    by_split = small_columns(package / config, manifests[config])
    splits = [split for split, table in by_split.items() for _ in range(len(table))]
    table = pa.concat_tables(by_split.values())
    filenames = table.column("filename").to_pylist()
    if config == "ratings":
        splits = _splits_of_ratings(package, manifests, filenames)
    label = next((name for name in _CLASS if name in table.column_names), None)
    counted = all(name in table.column_names for name in _COUNTS)
    return Videos(
        filenames,
        splits,
        None if label is None else [str(one) for one in table.column(label).to_pylist()],
        table.column("MIT_label").to_pylist() if "MIT_label" in table.column_names else None,
        np.stack([table.column(name).to_numpy() for name in _COUNTS], axis=1) if counted else None,
    )


def _splits_of_ratings(
    package: Path, manifests: Mapping[str, Manifest], filenames: Sequence[str]
) -> list[str]:
    """Return `test` for the videos of the test set, as every embedding config splits them."""
    if "test_set" not in manifests:
        return ["rated"] * len(filenames)
    found = small_columns(package / "test_set", manifests["test_set"], ["filename"])
    test = {name for table in found.values() for name in table.column("filename").to_pylist()}
    return ["test" if name in test else "train" for name in filenames]


def by_class_and_split(videos: Videos) -> dict[str, dict[str, int]]:
    """Count the videos of each class in each split, classes in the order of their names."""
    labels = videos.labels or ["all videos"] * len(videos.filenames)
    counted = Counter(zip(labels, videos.splits, strict=True))
    splits = list(dict.fromkeys(videos.splits))
    return {
        label: {split: counted[label, split] for split in splits} for label in sorted(set(labels))
    }


def ratings_by_class(videos: Videos) -> dict[str, Numbers]:
    """Return each class's counts (videos, 3), in the order of their names."""
    assert videos.ratings is not None
    labels: Any = np.array(videos.labels or ["all videos"] * len(videos.filenames), object)
    return {label: videos.ratings[labels == label] for label in sorted(set(labels.tolist()))}


def flows(videos: Videos) -> Counter[tuple[str, str]]:
    """Count the videos by (MIT label, AVMIT label)."""
    return Counter(zip(videos.mit_labels or [], videos.labels or [], strict=True))


def site_of(filename: str) -> str:
    """Return the site that a clip's name tells."""
    return (
        _SITES.get(stem_of(filename).partition("-")[0], NO_SITE) if ("-" in filename) else NO_SITE
    )


def sites(videos: Videos) -> dict[str, int]:
    """Count the videos of each site, most first."""
    return dict(Counter(map(site_of, videos.filenames)).most_common())
