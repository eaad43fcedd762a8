"""Flows, sites, neighbours and accuracies against slow, plain references."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.places import REFERENCE
from support.releases import csv_rows, shard_rows

from conversion.package.manifest import read_package
from experiments.report.measures.centroids import nearest_centroid
from experiments.report.measures.counts import (
    Videos,
    by_class_and_split,
    flows,
    ratings_by_class,
    read_videos,
    site_of,
    sites,
)
from experiments.report.measures.embeddings import Matrix, dead, norms, read_embedded
from experiments.report.measures.maps import GRID, on_grid, position
from experiments.report.measures.nearest import neighbours


def videos_of(rows: list[dict[str, str]], test: set[str]) -> Videos:
    return Videos(
        [row["filename"] for row in rows],
        ["test" if row["filename"] in test else "train" for row in rows],
        [row["AVMIT_label"] for row in rows],
        [row["MIT_label"] for row in rows],
        np.array([[int(row[name]) for name in ("r1", "r2", "r3")] for row in rows]),
    )


def check(videos: Videos, rows: list[dict[str, str]], test: set[str]) -> None:
    into: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row["MIT_label"], row["AVMIT_label"]
        into[key] = into.get(key, 0) + 1
    assert flows(videos) == into
    counted = by_class_and_split(videos)
    for label, of_splits in counted.items():
        for split, count in of_splits.items():
            mine = [row for row in rows if row["AVMIT_label"] == label]
            assert count == sum((r["filename"] in test) == (split == "test") for r in mine)
    for label, found in ratings_by_class(videos).items():
        r3 = sum(int(row["r3"]) for row in rows if row["AVMIT_label"] == label)
        assert found[:, 2].sum() == r3
    assert sum(sites(videos).values()) == len(rows)


def test_the_released_annotations() -> None:
    folder = REFERENCE / "annotations"
    if not folder.is_dir():
        pytest.skip("no reference tree at ../shared/reference or AVMIT_REFERENCE")
    rows = csv_rows(folder / "video_ratings.csv")
    test = {row["filename"] for row in csv_rows(folder / "test_set.csv")}
    check(videos_of(rows, test), rows, test)


def test_a_package(package: Path, release: Path) -> None:
    rows = csv_rows(release / "video_ratings.csv")
    test = {row["filename"] for row in csv_rows(release / "test_set.csv")}
    videos = read_videos(package, read_package(package))
    assert videos.filenames == [row["filename"] for row in rows]
    check(videos, rows, test)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("a/yt-xxlQD_g2iSg_440.mp4", "YouTube"),
        ("a/flickr-3-1-2_4.mp4", "Flickr"),
        ("a/vine-x_1.mp4", "Vine"),
        ("a/xxlQD-g2iSg_440.mp4", "not named"),
        ("a/yt.mp4", "not named"),
    ],
)
def test_sites(name: str, site: str) -> None:
    assert site_of(name) == site


def means(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [np.mean(np.array(row[name], np.float64), axis=0) for row in rows]


@pytest.mark.parametrize("config", ["vggish_vgg16", "yamnet_effnet"])
@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_nearest_centroid(package: Path, config: str, modality: str) -> None:
    found = nearest_centroid(
        read_embedded(package, read_package(package)[config], lambda done, total: None), modality
    )
    assert found is not None
    train, test = (shard_rows(package, config, split) for split in ("train", "test"))
    of_class: dict[int, Any] = {}
    for row, mean in zip(train, means(train, modality), strict=True):
        of_class.setdefault(row["label"], []).append(mean / np.linalg.norm(mean))
    expected: Counter[tuple[int, int]] = Counter()
    for row, mean in zip(test, means(test, modality), strict=True):
        near = {
            label: float(mean @ np.mean(some, axis=0) / np.linalg.norm(np.mean(some, axis=0)))
            for label, some in of_class.items()
        }
        expected[row["label"], max(near, key=lambda label: near[label])] += 1
    assert {
        (int(a), int(b)): int(found.counts[a, b]) for a, b in np.argwhere(found.counts)
    } == dict(expected)
    right = sum(count for (a, b), count in expected.items() if a == b)
    assert found.accuracy == pytest.approx(right / len(test))


def test_neighbours() -> None:
    matrix = np.random.default_rng(1).standard_normal((700, 9)).astype(np.float32)
    rows = np.arange(0, 700, 1)
    found, cosines = neighbours(matrix, rows, 4)
    for row in (0, 13, 511, 512, 699):
        units = matrix.astype(np.float64) / np.linalg.norm(matrix, axis=1, keepdims=True)
        similar = {other: float(units[row] @ units[other]) for other in range(700) if other != row}
        nearest = sorted(similar, key=lambda other: -similar[other])[:4]
        assert found[row].tolist() == nearest
        np.testing.assert_allclose(cosines[row], [similar[one] for one in nearest], atol=1e-6)
    assert neighbours(matrix[:1], np.array([0]), 4)[0].shape == (1, 0)


def test_maps_and_norms() -> None:
    noise = np.random.default_rng(2).standard_normal((80, 6), np.float32)
    matrix: Matrix = noise * np.array([9, 5, 1, 1, 1, 0], np.float32)
    placed = position(matrix)
    centred = (matrix - matrix.mean(axis=0)).astype(np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(placed), np.abs(centred @ axes[:2].T), atol=1e-3)
    whole = on_grid(placed)
    assert whole.min() == 0 and whole.max() == GRID
    assert dead(matrix) == 1
    np.testing.assert_allclose(norms(matrix), np.linalg.norm(matrix, axis=1), rtol=1e-5)
