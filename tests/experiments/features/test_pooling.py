"""Matrices of rows, against loops over the rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feeding import (
    CONFIG,
    KINDS,
    LABELS,
    WIDTHS,
    in_memory,
    lengths,
    made_rows,
    write_package,
)

import avmit
from avmit import AvmitError

LONG = [(2, 3), (4, 1), (1, 5), (3, 3), (2, 2)]
"""Timesteps of audio and of visual: none are without any."""


def stacked(rows: list[dict[str, Any]], name: str, steps: int) -> Any:
    out = np.zeros((len(rows), steps, WIDTHS[name]), np.float32)
    for number, row in enumerate(rows):
        for step in range(min(steps, len(row[name]))):
            out[number, step] = row[name][step]
    return out


@given(lengths=lengths)
def test_none_keeps_every_timestep_and_zeros_after_them(lengths: Any) -> None:
    rows = made_rows(lengths)
    found = avmit.features(in_memory(lengths), pool="none")
    assert list(found.matrices) == ["audio", "visual"]
    for name, matrix in found.matrices.items():
        counts = [len(row[name]) for row in rows]
        np.testing.assert_array_equal(matrix, stacked(rows, name, max(counts)), strict=True)
        assert found.lengths[name].tolist() == counts
    assert found.ids == [row["filename"] for row in rows]
    assert found.labels is not None and found.label_names is not None
    assert found.labels.tolist() == [row["label"] for row in rows]
    assert found.classes == list(LABELS)
    assert found.label_names == [LABELS[row["label"]] for row in rows]


@given(lengths=lengths)
def test_the_mean_is_that_of_numpy_to_the_bit(lengths: Any) -> None:
    rows = [row for row in made_rows(lengths) if len(row["audio"]) and len(row["visual"])]
    if not rows:
        with pytest.raises(AvmitError, match="has timesteps: take pool='none'"):
            avmit.features(in_memory(lengths), missing="skip")
        return
    found = avmit.features(in_memory(lengths), missing="skip")
    assert found.ids == [row["filename"] for row in rows]
    assert len(found.left_out) == len(lengths) - len(rows)
    np.testing.assert_array_equal(found.audio, [row["audio"].mean(0) for row in rows])
    np.testing.assert_array_equal(found.visual, [row["visual"].mean(0) for row in rows])
    assert found.audio.dtype == found.visual.dtype == np.float32


def test_flatten_has_the_timesteps_that_all_rows_have() -> None:
    rows = made_rows(LONG)
    found = avmit.features(in_memory(LONG), pool="flatten")
    np.testing.assert_array_equal(found.audio, stacked(rows, "audio", 1).reshape(5, -1))
    np.testing.assert_array_equal(found.visual, stacked(rows, "visual", 1).reshape(5, -1))
    assert found.description["audio"] == {"width": 3, "timesteps": [1, 4], "timesteps_kept": 1}


@given(steps=st.integers(1, 7))
def test_flatten_with_as_many_timesteps_as_asked_for(steps: int) -> None:
    rows = made_rows(LONG)
    found = avmit.features(in_memory(LONG), pool="flatten", timesteps=steps)
    for name, matrix in found.matrices.items():
        np.testing.assert_array_equal(matrix, stacked(rows, name, steps).reshape(5, -1))
    assert found.lengths["audio"].tolist() == [2, 4, 1, 3, 2]
    cut = avmit.features(in_memory(LONG), pool="none", timesteps=steps)
    np.testing.assert_array_equal(cut.visual, stacked(rows, "visual", steps))


def test_a_row_without_timesteps_has_no_mean() -> None:
    dataset = in_memory([(1, 1), (0, 2), (2, 0)])
    with pytest.raises(AvmitError) as error:
        avmit.features(dataset)
    assert str(error.value) == (
        "2 videos have no timesteps, the first video-1.mp4: leave them out with missing='skip', "
        "or take pool='none'"
    )
    assert avmit.features(dataset, visual=False, missing="skip").ids == [
        "video-0.mp4",
        "video-2.mp4",
    ]
    with pytest.raises(AvmitError, match="2 videos have no timesteps"):
        avmit.features(dataset, pool="flatten")
    assert avmit.features(dataset, pool="flatten", timesteps=2).audio.tolist()[1] == [0] * 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_by_its_name(tmp_path: Path, kind: str, cache: Path) -> None:
    package = write_package(tmp_path / "avmit", LONG, kind)
    found = avmit.features(CONFIG, data_dir=package)
    rows = made_rows(LONG)
    assert found.ids == [row["filename"] for row in rows]
    np.testing.assert_array_equal(found.visual, [row["visual"].mean(0) for row in rows])
    part = avmit.features(CONFIG, split="train[1:3]", data_dir=package, audio=False)
    assert (part.ids, list(part.matrices)) == (["video-1.mp4", "video-2.mp4"], ["visual"])
    assert part.description["split"] == "train[1:3]"


def test_chosen_and_joined_rows() -> None:
    dataset = in_memory(LONG)
    rows = made_rows(LONG)
    chosen = avmit.features(avmit.select(dataset, labels=["dive"], relabel=True))
    assert (chosen.ids, chosen.classes) == (["video-3.mp4"], ["dive"])
    assert chosen.label_names == ["dive"]
    study = {"clip": ["video-4.mp4", "video-1.mp4", "video-4.mp4"], "trial": [0, 1, 2]}
    joined = avmit.join(pd.DataFrame(study), dataset, ("clip", "filename"), duplicates="all")
    found = avmit.features(joined, ids="clip")
    assert (found.ids, found.id_name) == (study["clip"], "clip")
    np.testing.assert_array_equal(found.audio, [rows[n]["audio"].mean(0) for n in (4, 1, 4)])
    both = avmit.features(avmit.join(dataset, dataset), visual=False)
    assert list(both.matrices) == ["audio", "audio_right"]
    with pytest.raises(
        AvmitError, match=r"2 rows are called video-4[.]mp4, so the list does not say"
    ):
        avmit.features(joined, ids="clip", order=["video-4.mp4"])


def test_what_cannot_be_asked_for() -> None:
    dataset = in_memory(LONG)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"pool": "max"}, "pool='max': it is one of mean, flatten, none"),
        ({"missing": "warn"}, "missing='warn': it is one of error, skip"),
        (
            {"timesteps": 7},
            "timesteps=7 is of pool='flatten' or none: leave it out, or name one of these",
        ),
        ({"pool": "none", "timesteps": 0}, "timesteps=0: it is a whole number from 1 on"),
        ({"split": "test"}, "split= and data_dir= are of a config that is named: leave them out"),
        (
            {"audio": False, "visual": False},
            "no embeddings are asked for, or none are in these rows: name others",
        ),
    ]
    for options, said in cases:
        with pytest.raises(AvmitError) as error:
            avmit.features(dataset, **options)
        assert str(error.value) == said
    with pytest.raises(AvmitError, match="no 'smell' in these features; there are: audio, visual"):
        avmit.features(dataset).matrix("smell")
    with pytest.raises(AvmitError, match="there are no rows"):
        avmit.features(dataset.select([]))


def test_rows_without_labels() -> None:
    dataset = in_memory(LONG).remove_columns("label")
    found = avmit.features(dataset)
    assert (found.labels, found.label_names, found.classes) == (None, None, [])
    assert repr(found) == "Features(5 rows, pool mean: audio (5, 3), visual (5, 2))"
    assert len(found) == 5
