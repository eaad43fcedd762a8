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
from experiments.report.measures.embeddings import (
    FAR,
    Matrix,
    dead,
    far_off,
    norms,
    read_embedded,
)
from experiments.report.measures.maps import GRID, on_grid, position
from experiments.report.measures.nearest import NONE, neighbours
from experiments.report.sections import embeddings, side_by_side


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


def test_a_map_of_many_rows() -> None:
    noise = np.random.default_rng(6).standard_normal((30_001, 5), np.float32)
    matrix: Matrix = noise * np.array([6, 3, 1, 1, 1], np.float32) + 7
    placed = position(matrix)
    centred = (matrix - matrix.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    for number, axis in enumerate(axes[:, :-3:-1].T):
        assert abs(np.corrcoef(placed[:, number], centred @ axis)[0, 1]) > 0.999
    np.testing.assert_array_equal(position(matrix), placed)


def test_rows_that_are_far_off_have_no_say() -> None:
    matrix = np.random.default_rng(3).standard_normal((40, 6)).astype(np.float32)
    matrix[:4] = np.array([[3e38] * 6, [np.nan] * 6, [0] * 5 + [-np.inf], [0] * 6])
    assert np.flatnonzero(far_off(matrix)).tolist() == [0, 1, 2]
    found = position(matrix)
    with_zeros = position(np.vstack([np.zeros((1, 6), np.float32), matrix[4:]]))
    np.testing.assert_array_equal(found[3:], with_zeros)
    np.testing.assert_array_equal(found[:3], [with_zeros.min(axis=0)] * 3)
    assert np.ptp(on_grid(found)[3:], axis=0).max() == GRID
    # All of them large are no matter, nor is what is up to FAR times as long as others.
    assert not far_off(np.full((5, 3), 3e38, np.float32)).any()
    assert not far_off(np.array([[1], [1], [FAR]], np.float32)).any()
    assert far_off(np.array([[1], [1], [FAR + 1]], np.float32)).tolist() == [False, False, True]
    assert not far_off(np.zeros((0, 3), np.float32)).any()


def test_a_map_by_umap() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    noise = np.random.default_rng(4).standard_normal((60, 80)).astype(np.float32)
    noise[:30] += 4
    placed = position(noise, "umap")
    assert np.isfinite(placed).all()
    apart = np.linalg.norm(placed[:30].mean(axis=0) - placed[30:].mean(axis=0))
    assert apart > 2 * max(placed[:30].std(), placed[30:].std())
    np.testing.assert_array_equal(position(noise, "umap"), placed)
    for count in (3, 4, 7):
        assert np.unique(position(noise[:count], "umap"), axis=0).shape == (count, 2)


def test_far_off_rows_are_named(package: Path) -> None:
    embedded = read_embedded(
        package, read_package(package)["vggish_vgg16"], lambda done, total: None
    )
    for values in embedded.features.matrices.values():
        values[:] = np.random.default_rng(5).standard_normal(values.shape)
    before = nearest_centroid(embedded, "visual")
    matrix = embedded.features.matrix("visual")
    matrix[[3, 7]] = [[3e38], [np.nan]]
    section = embeddings([embedded])
    ids = embedded.features.ids
    assert section.lines[2:] == [
        f"vggish_vgg16 visual: 2 of {len(ids)} rows are not finite, or 1,000 times as long as the "
        f"median ({ids[3]}, {ids[7]}). They are left out of the norms and dead dimensions, and "
        "stand at the lower left corner of the map."
    ]
    usual = np.delete(matrix, [3, 7], axis=0)
    rows = {row[1]: row for row in section.tables[0][1:]}
    assert rows["visual"][4] == f"{np.median(norms(usual)):.4g}"
    # What is not finite is of no class; what is long has a direction like others.
    found = nearest_centroid(embedded, "visual")
    assert before is not None and found is not None
    assert before.counts.sum() - found.counts.sum() == (embedded.splits[7] == "test")
    assert np.isfinite(found.accuracy)


def noise(rows: int, width: int, seed: int = 3) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


@pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf, 3e38])
def test_rows_that_are_all_the_same(value: float) -> None:
    matrix = np.full((9, 4), value, np.float32)
    np.testing.assert_array_equal(on_grid(position(matrix)), np.zeros((9, 2)))
    assert neighbours(matrix, np.arange(9), 3)[0].shape == (9, 3)


def test_rows_without_numbers_have_no_neighbours() -> None:
    matrix = noise(40, 6)
    matrix[3, 1], matrix[5] = np.nan, np.inf
    matrix[7] *= np.float32(1e37)
    found, cosines = neighbours(matrix, np.arange(40), 38)
    assert (found[[3, 5]] == NONE).all() and np.isnan(cosines[[3, 5]]).all()
    for row in (0, 7, 39):
        assert sorted(found[row].tolist()) == [NONE, *sorted({*range(40)} - {3, 5, row})]
        assert (np.diff(cosines[row, :37]) <= 0).all()


def test_neighbours_within_components_have_exact_cosines() -> None:
    matrix = noise(200, 5) @ noise(5, 90, 4) + 1e-3 * noise(200, 90, 5)
    exact, cosines = neighbours(matrix, np.arange(200), 6)
    found, told = neighbours(matrix, np.arange(200), 6, within=8)
    assert (found == exact).mean() > 0.95
    np.testing.assert_allclose(told, cosines, atol=1e-4)


def test_rows_that_are_not_finite_leave_configs_comparable(package: Path) -> None:
    manifests = read_package(package)
    pair = [
        read_embedded(package, manifests[config], lambda done, total: None)
        for config in ("vggish_vgg16", "yamnet_effnet")
    ]
    for seed, embedded in enumerate(pair):
        for values in embedded.features.matrices.values():
            values[:] = noise(len(values), values.shape[1], seed)
    before = [section.tables[0] for section in side_by_side(pair)]
    assert [row[1] for row in before[0]] == ["modality", "audio", "visual"]
    labels = pair[0].features.labels
    assert labels is not None
    matrix = pair[0].features.matrix("visual")
    matrix[0] = np.nan
    matrix[labels == labels[5]] = np.inf
    ((_, audio, visual),) = [section.tables[0] for section in side_by_side(pair)]
    assert audio == before[0][1]
    assert visual[:3] == before[0][2][:3] and -1 <= float(visual[3]) <= 1
