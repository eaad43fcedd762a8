"""Nearest neighbours and nearest centroids, against scikit-learn and loops."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from extraction.compare import centroids, neighbours
from extraction.compare.centroids import correct, several
from extraction.compare.neighbours import overlap


def nearest_of(vectors: Any, query: int, k: int) -> list[int]:
    """Sort all other rows by their cosine, and by their number where that is the same."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    lengths[lengths == 0] = 1
    alike = (wide @ wide[query]) / lengths / lengths[query]
    order = sorted((-round(alike[n], 10), n) for n in range(len(vectors)) if n != query)
    return [n for _, n in order[:k]]


@settings(max_examples=30)
@given(
    rows=st.integers(2, 40),
    k=st.integers(1, 6),
    seed=st.integers(0, 99),
    small=st.integers(1, 9),
    values=st.sampled_from([2, 1000]),
)
def test_shares_of_neighbours(rows: int, k: int, seed: int, small: int, values: int) -> None:
    generator = np.random.default_rng(seed)
    k = min(k, rows - 1)
    # Of few values, many rows are copies of others, and some are zeros.
    x = generator.integers(0, values, (rows, 3)).astype(np.float32)
    y = generator.integers(0, values, (rows, 4)).astype(np.float32)
    queries = np.sort(generator.permutation(rows)[: 1 + rows // 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_QUERIES", small)
        patch.setattr(neighbours, "_ROWS", small)
        found = overlap(x, y, queries, k)
    wanted = [len({*nearest_of(x, q, k)} & {*nearest_of(y, q, k)}) / k for q in queries]
    np.testing.assert_allclose(found, wanted)


def test_neighbours_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.neighbors")
    generator = np.random.default_rng(0)
    x = generator.standard_normal((300, 20)).astype(np.float32)
    y = (x[:, :12] + generator.standard_normal((300, 12))).astype(np.float32)
    near = []
    for vectors in (x, y):
        found = sklearn.NearestNeighbors(n_neighbors=11, metric="cosine").fit(vectors)
        near.append(found.kneighbors(vectors, return_distance=False)[:, 1:])
    wanted = [len({*a} & {*b}) / 10 for a, b in zip(*near, strict=True)]
    np.testing.assert_allclose(overlap(x, y, np.arange(300), 10), wanted)


@settings(max_examples=30)
@given(
    rows=st.integers(4, 40),
    classes=st.integers(2, 5),
    seed=st.integers(0, 99),
    small=st.integers(1, 9),
)
def test_the_nearest_mean_of_all_other_rows(rows: int, classes: int, seed: int, small: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows) * 3
    kept = several(labels)
    assert kept.tolist() == [(labels == label).sum() > 1 for label in labels]
    labels = labels[kept]
    assume(len(labels))
    places = generator.standard_normal((len(labels), 4)) + labels[:, None] / 5 + 50
    vectors = places.astype(np.float32)
    wanted = []
    for row in range(len(vectors)):
        others = np.arange(len(vectors)) != row
        means = {
            label: vectors[others & (labels == label)].mean(0, dtype=np.float64)
            for label in sorted(set(labels.tolist()))
        }
        nearest = min(means, key=lambda label: np.linalg.norm(vectors[row] - means[label]))
        wanted.append(nearest == labels[row])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(centroids, "_ROWS", small)
        assert correct(vectors, labels).tolist() == wanted


def test_centroids_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.neighbors")
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 4
    vectors = (generator.standard_normal((60, 6)) + labels[:, None] / 2).astype(np.float32)
    wanted = []
    for row in range(60):
        others = np.arange(60) != row
        model = sklearn.NearestCentroid().fit(vectors[others], labels[others])
        wanted.append(model.predict(vectors[row : row + 1])[0] == labels[row])
    assert correct(vectors, labels).tolist() == wanted


def test_rows_of_no_class_are_of_none() -> None:
    assert several(np.array([-1, -1, 2, 3, 3])).tolist() == [False, False, False, True, True]
