"""The reference tree's records, converted, are what TensorFlow read from them, bit for bit."""

from pathlib import Path

import numpy as np
import pytest
from support.places import REFERENCE
from support.releases import (
    CSV,
    SETS,
    assert_same_bits,
    assert_same_rows,
    csv_rows,
    expected_rows,
    shard_rows,
)

import avmit
from conversion.convert.build import Built, Options, convert

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="no reference tree at ../shared/reference or AVMIT_REFERENCE"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Built]]:
    out = tmp_path_factory.mktemp("reference") / "avmit"
    return out, {item.manifest.config: item for item in convert(REFERENCE, out, Options(workers=1))}


@pytest.mark.parametrize("config", SETS)
def test_arrays_are_what_tensorflow_read(built: tuple[Path, dict[str, Built]], config: str) -> None:
    out, _ = built
    rows = {
        row["tfrecord_filename"]: row
        for split in ("train", "test")
        for row in shard_rows(out, config, split)
    }
    with np.load(REFERENCE / f"expected_{SETS[config]}.npz") as expected:
        assert len(expected.files) == 2 * 160 // 8
        for key in expected.files:
            name, _, column = key.partition("|")
            assert_same_bits(rows[name][column], expected[key])


@pytest.mark.parametrize("config", SETS)
def test_the_rest_is_counted(built: tuple[Path, dict[str, Built]], config: str) -> None:
    out, results = built
    rated = len(csv_rows(REFERENCE / "annotations" / CSV["ratings"]))
    manifest = results[config].manifest
    assert sum(manifest.rows(split) for split in manifest.splits) == 160
    assert manifest.source["records"] == 160
    assert manifest.source["strays"] == 1
    assert manifest.bad_records == 0
    assert len(csv_rows(out / config / "missing_records.csv")) == rated - 160


@pytest.mark.parametrize("config", CSV)
def test_ratings_are_those_of_the_csv(built: tuple[Path, dict[str, Built]], config: str) -> None:
    out, _ = built
    split = "test" if config == "test_set" else "train"
    wanted = expected_rows(REFERENCE / "annotations", config, split)
    assert_same_rows(shard_rows(out, config, split), wanted)


def test_the_classes_of_the_test_set_are_those_of_the_release() -> None:
    labels = [row["AVMIT_label"] for row in csv_rows(REFERENCE / "annotations" / CSV["test_set"])]
    assert sorted(set(labels)) == list(avmit.TEST_CLASSES)
    assert {labels.count(label) for label in avmit.TEST_CLASSES} == {60}


@pytest.mark.parametrize(
    ("file", "rows"), [("AVMIT_train.csv", 6560), ("AVMIT_validation.csv", 736)]
)
def test_the_paper_s_choices_join(
    built: tuple[Path, dict[str, Built]], file: str, rows: int
) -> None:
    ratings = avmit.load("ratings", "train", data_dir=built[0])
    chosen = avmit.join(ratings, REFERENCE / "paper" / file)
    assert len(chosen) == rows
    assert not chosen.report.right.alone
    frame = chosen.to_pandas(["AVMIT_label", "label", "r3", "r3_right"])
    assert frame["AVMIT_label"].equals(frame["label"])
    assert frame["r3"].equals(frame["r3_right"])
    again = avmit.select(chosen, min_r3=2, classes="test16")
    assert len(again) == rows
