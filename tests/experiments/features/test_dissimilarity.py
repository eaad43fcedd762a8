"""Dissimilarities and rsatoolbox's own objects, against SciPy and rsatoolbox."""

import sys
from typing import Any

import numpy as np
import pytest

from avmit import AvmitError
from experiments.features import dissimilarity
from experiments.features.dense import Features

distance = pytest.importorskip("scipy.spatial.distance")
METRICS = ("correlation", "euclidean", "cosine")


def made(count: int = 24, pool: Any = "mean", shift: float = 0.0) -> Features:
    """Return features of random values, of three classes of which one has no row."""
    generator = np.random.default_rng(1)
    shape = (count, 4, 7) if pool == "none" else (count, 7)
    lengths = generator.integers(2, 5, count)
    matrix = (generator.standard_normal(shape) + shift).astype(np.float32)
    if pool == "none":
        for row, length in zip(matrix, lengths, strict=True):
            row[length:] = 0
    return Features(
        matrices={"audio": matrix, "visual": 2 * matrix[..., :5]},
        lengths={"audio": lengths, "visual": lengths},
        ids=[f"{number}.mp4" for number in range(count)],
        labels=np.arange(count) % 2 * 2,
        classes=["clap", "dive", "yawn"],
        pool=pool,
        description={"config": "tiny", "audio": {"width": 7}},
        left_out=[],
    )


@pytest.mark.parametrize("metric", METRICS)
def test_between_clips(metric: Any) -> None:
    features = made()
    wanted = distance.squareform(distance.pdist(features.audio.astype(np.float64), metric))
    found = features.rdm("audio", metric)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert (np.diag(found) == 0).all()
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("metric", METRICS)
def test_between_classes(metric: Any) -> None:
    features = made()
    means = [features.visual[first::2].mean(0, dtype=np.float64) for first in (0, 1)]
    wanted = distance.squareform(distance.pdist(means, metric))
    np.testing.assert_allclose(features.rdm("visual", metric, "class"), wanted, atol=1e-12)


def test_timesteps_are_side_by_side() -> None:
    features = made(pool="none")
    vectors = features.audio.reshape(24, -1).astype(np.float64)
    wanted = distance.squareform(distance.pdist(vectors, "correlation"))
    np.testing.assert_allclose(features.rdm("audio"), wanted, atol=1e-12)


def test_values_far_from_zero() -> None:
    features = made(shift=1e4)
    wanted = distance.squareform(distance.pdist(features.audio.astype(np.float64)))
    np.testing.assert_allclose(features.rdm("audio", "euclidean"), wanted, atol=1e-6)


def test_rows_of_which_nothing_can_be_said() -> None:
    features = made()
    features.audio[3] = 1.5
    features.audio[4] = 0
    correlation, cosine = features.rdm("audio"), features.rdm("audio", "cosine")
    assert np.isnan(correlation[3]).all() and np.isnan(correlation[:, 4]).all()
    assert np.isnan(cosine[4]).all() and not np.isnan(cosine[3, 5])
    assert not np.isnan(features.rdm("audio", "euclidean")).any()


def test_what_cannot_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    features = made()
    cases: dict[Any, str] = {
        ("audio", "chebyshev"): "metric='chebyshev': it is one of correlation, euclidean, cosine",
        ("audio", "cosine", "video"): "by='video': it is one of clip, class",
    }
    for arguments, said in cases.items():
        with pytest.raises(AvmitError) as error:
            features.rdm(*arguments)
        assert str(error.value) == said
    unlabelled = Features(**{**vars(features), "labels": None})
    with pytest.raises(AvmitError, match='by="class" needs labels, which these rows do not have'):
        unlabelled.rdm("audio", by="class")
    monkeypatch.setattr(dissimilarity, "MOST", 23)
    with pytest.raises(AvmitError, match="24 by 24 clips does not fit: choose at most 23, or by="):
        features.rdm("audio")
    assert features.rdm("audio", by="class").shape == (2, 2)


def test_rsatoolbox_computes_with_the_rows() -> None:
    data = pytest.importorskip("rsatoolbox.data")
    rdm = pytest.importorskip("rsatoolbox.rdm")
    features = made()
    dataset = features.to_rsatoolbox("audio")
    assert isinstance(dataset, data.Dataset)
    np.testing.assert_array_equal(dataset.measurements, features.audio)
    assert list(dataset.obs_descriptors["filename"]) == features.ids
    assert list(dataset.obs_descriptors["label_name"]) == features.label_names
    assert dataset.descriptors == {"modality": "audio", "config": "tiny"}
    by_toolbox = rdm.calc_rdm(dataset, "correlation")
    np.testing.assert_allclose(by_toolbox.get_matrices()[0], features.rdm("audio"), atol=1e-6)
    ours = features.rdms()
    np.testing.assert_allclose(ours.get_matrices()[1], features.rdm("visual"), atol=1e-12)
    assert list(ours.pattern_descriptors["filename"]) == features.ids
    assert list(ours.rdm_descriptors["modality"]) == ["audio", "visual"]
    assert rdm.compare(by_toolbox, ours, "spearman")[0, 0] == pytest.approx(1, abs=1e-4)
    by_class = features.rdms("euclidean", "class")
    assert list(by_class.pattern_descriptors["label_name"]) == ["clap", "yawn"]
    # rsatoolbox's own is the square, over the number of channels.
    by_toolbox = rdm.calc_rdm(dataset, "euclidean", "label")
    wanted = features.rdm("audio", "euclidean", "class") ** 2 / 7
    np.testing.assert_allclose(by_toolbox.get_matrices()[0], wanted, atol=1e-6)


def test_rsatoolbox_goes_through_the_timesteps() -> None:
    data = pytest.importorskip("rsatoolbox.data")
    rdm = pytest.importorskip("rsatoolbox.rdm")
    features = made(pool="none")
    dataset = features.to_rsatoolbox("audio")
    assert isinstance(dataset, data.TemporalDataset)
    assert dataset.measurements.shape == (24, 7, 2)  # some rows have two timesteps alone
    np.testing.assert_array_equal(dataset.measurements[5, :, 1], features.audio[5, 1])
    assert list(dataset.time_descriptors["time"]) == [0, 1]
    assert list(dataset.obs_descriptors["timesteps"]) == features.lengths["audio"].tolist()
    movie = rdm.calc_rdm_movie(dataset, "correlation")
    wanted = distance.pdist(features.audio[:, 1].astype(np.float64), "correlation")
    np.testing.assert_allclose(movie.dissimilarities[1], wanted, atol=1e-6)


def test_without_rsatoolbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rsatoolbox", "rsatoolbox.data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(AvmitError) as error:
        made().to_rsatoolbox("audio")
    assert str(error.value) == (
        "to_rsatoolbox() needs rsatoolbox, which is not installed or does not load: "
        "pip install rsatoolbox"
    )
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        AvmitError, match=r"writing .h5 files needs h5py, .*: pip install 'avmit\[feat"
    ):
        made().save("x.h5")
