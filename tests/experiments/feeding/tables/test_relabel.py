"""`avmit.select(relabel=True)` numbers classes anew beside embeddings that stay in the files."""

import pickle
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest

import avmit

LABELS = ["whistling", "diving", "barking"]
NAMES = ["barking", "diving", "whistling"]


@pytest.fixture(scope="module")
def train(package: Path) -> Any:
    return avmit.load("vggish_vgg16", "train", data_dir=package)


def plain(ds: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ds.with_format(None).to_list()
    return rows


def expected(ds: Any) -> list[dict[str, Any]]:
    """The rows of LABELS with their new numbers, by a loop."""
    names = ds.features["label"].names
    rows = [{**row, "label": names[row["label"]]} for row in plain(ds)]
    return [{**row, "label": NAMES.index(row["label"])} for row in rows if row["label"] in NAMES]


def test_what_datasets_does_with_the_result(train: Any, tmp_path: Path) -> None:
    shuffled = train.shuffle(seed=3)
    chosen = avmit.select(shuffled, labels=LABELS, relabel=True)
    rows = expected(shuffled)
    assert len(rows) == 6
    assert plain(chosen) == rows
    assert plain(pickle.loads(pickle.dumps(chosen))) == rows
    assert plain(chosen.select([5, 0])) == [rows[5], rows[0]]
    again = chosen.shuffle(seed=1)
    assert sorted(r["filename"] for r in plain(again)) == sorted(r["filename"] for r in rows)
    assert plain(chosen.filter(lambda row: row["label"] == 1)) == [
        row for row in rows if row["label"] == 1
    ]
    assert plain(chosen.map(lambda row: {"label": 2 - row["label"]})) == [
        {**row, "label": 2 - row["label"]} for row in rows
    ]
    assert plain(chosen.sort("label")) == sorted(rows, key=lambda row: row["label"])
    parts = chosen.train_test_split(test_size=2, seed=0)
    assert len(parts["train"]) + len(parts["test"]) == 6
    assert plain(datasets.concatenate_datasets([chosen, chosen])) == rows + rows
    assert plain(chosen.class_encode_column("MIT_label").remove_columns("MIT_label")) == [
        {name: value for name, value in row.items() if name != "MIT_label"} for row in rows
    ]
    chosen.save_to_disk(tmp_path / "saved")
    saved = datasets.load_from_disk(tmp_path / "saved")
    assert plain(saved) == rows
    assert saved.features == chosen.features
    chosen.to_parquet(tmp_path / "saved.parquet")
    assert (
        datasets.Dataset.from_parquet(
            str(tmp_path / "saved.parquet"), cache_dir=str(tmp_path)
        ).features
        == chosen.features
    )


def test_it_can_be_selected_from_again(train: Any) -> None:
    once = avmit.select(train, labels=LABELS, relabel=True)
    twice = avmit.select(once, labels=["whistling", "barking"], relabel=True)
    assert twice.features["label"].names == ["barking", "whistling"]
    assert plain(twice) == [
        {**row, "label": row["label"] // 2} for row in plain(once) if row["label"] != 1
    ]


def test_the_same_call_gives_the_same_fingerprint(train: Any) -> None:
    """By which `datasets` finds what it computed before."""
    one, other = (avmit.select(train, labels=LABELS, relabel=True) for _ in range(2))
    assert one._fingerprint == other._fingerprint
    assert one._fingerprint != avmit.select(train, labels=NAMES[:2], relabel=True)._fingerprint


def test_the_given_dataset_stays_as_it_is(train: Any) -> None:
    features, rows = train.features.copy(), plain(train)
    avmit.select(train, labels=LABELS, relabel=True)
    assert train.features == features
    assert plain(train) == rows


def test_names_stay_and_numbers_come_beside_them(package: Path) -> None:
    ratings = avmit.load("ratings", "train", data_dir=package).shuffle(seed=0)
    chosen = avmit.select(ratings, labels=LABELS, relabel=True)
    assert chosen.column_names == [*ratings.column_names, "label"]
    assert chosen.features["label"] == datasets.ClassLabel(names=NAMES)
    assert plain(chosen) == [
        {**row, "label": NAMES.index(row["AVMIT_label"])}
        for row in plain(ratings)
        if row["AVMIT_label"] in NAMES
    ]


def test_names_in_label_become_numbers() -> None:
    ds = datasets.Dataset.from_dict({"label": ["b", None, "a", "c"], "n": range(4)})
    chosen = avmit.select(ds, labels=["c", "b"], relabel=True)
    assert chosen.to_list() == [{"label": 0, "n": 0}, {"label": 1, "n": 3}]
    assert chosen.features["label"].names == ["b", "c"]


def test_a_label_without_names_is_not_overwritten() -> None:
    ds = datasets.Dataset.from_dict({"label": [7, 8], "AVMIT_label": ["diving", "frying"]})
    assert avmit.select(ds, labels="frying")["label"][:] == [8]
    with pytest.raises(avmit.AvmitError) as raised:
        avmit.select(ds, labels="frying", relabel=True)
    assert str(raised.value) == (
        "relabel=True writes column 'label', and the one that is there has no names of classes: "
        "rename or remove it"
    )


def test_in_a_join_the_labels_of_the_left_are_numbered(package: Path, train: Any) -> None:
    right = avmit.load("yamnet_effnet", "train", data_dir=package)
    joined = avmit.join(train.shuffle(seed=1), right)
    chosen = avmit.select(joined, labels=LABELS, relabel=True)
    assert chosen.features["label"].names == NAMES
    assert chosen.features["label_right"] == right.features["label"]
    rows = chosen.to_pandas(["label", "label_right"])
    assert [NAMES[n] for n in rows["label"]] == [
        right.features["label"].names[n] for n in rows["label_right"]
    ]
    (batch,) = avmit.batches(chosen, columns=("label", "filename"))
    assert batch["label"].tolist() == rows["label"].tolist()
    by_name = {row["filename"]: row for row in plain(right)}
    for name, array, length in zip(
        batch["filename"], batch["audio_right"], batch["audio_right_lengths"], strict=True
    ):
        np.testing.assert_array_equal(array[:length], np.float32(by_name[name]["audio"]))


def test_names_of_the_right_side_give_a_join_its_labels(package: Path) -> None:
    audio = avmit.load("vggish_vgg16", "train", data_dir=package, columns=["filename", "audio"])
    ratings = avmit.load("ratings", "train", data_dir=package)
    chosen = avmit.select(avmit.join(audio, ratings), labels=LABELS, relabel=True)
    rows = chosen.to_pandas()
    assert [NAMES[n] for n in rows["label"]] == rows["AVMIT_label"].tolist()
    assert list(chosen.column_names)[-1] == "label"


def test_labels_that_a_join_did_not_find_are_of_no_class(train: Any, package: Path) -> None:
    audio = avmit.load("yamnet_effnet", "train", data_dir=package, columns=["filename", "audio"])
    some = train.shuffle(seed=4).select(range(24)).select_columns(["filename", "label", "visual"])
    joined = avmit.join(audio, some, how="left")
    assert len(joined) == 32
    chosen = avmit.select(joined, labels=LABELS, relabel=True)
    rows = {row["filename"]: row for row in expected(some)}
    frame = chosen.to_pandas()
    assert frame["filename"].tolist() == [n for n in audio["filename"][:] if n in rows]
    assert frame["label"].tolist() == [rows[name]["label"] for name in frame["filename"]]
    (batch,) = avmit.batches(chosen)
    assert batch["label"].tolist() == frame["label"].tolist()
    for row, name in enumerate(frame["filename"]):
        array = batch["visual"][row, : batch["visual_lengths"][row]]
        np.testing.assert_array_equal(array, np.float32(rows[name]["visual"]))


def test_no_embedding_is_copied(tmp_path: Path) -> None:
    width, rows = 1024, 4000
    features = avmit.embedding_features(width, None, NAMES)
    steps = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows * width, np.float32)), width)
    table = pa.table(
        {
            **{name: ["a"] * rows for name in features if name != "audio"},
            **{name: np.arange(rows) % 3 for name in ("label", "r1", "r2", "r3")},
            "audio": pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32)), steps),
        }
    ).cast(features.arrow_schema)
    path = tmp_path / "wide.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    assert path.stat().st_size > 16_000_000
    del table, steps
    ds = datasets.Dataset.from_file(str(path)).shuffle(seed=0)
    before = pa.total_allocated_bytes()
    chosen = avmit.select(ds, labels=["whistling", "barking"], relabel=True)
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert len(pickle.dumps(chosen)) < 200_000
    assert len(chosen) == 2 * rows // 3 + 1
    assert [file["filename"] for file in chosen.cache_files] == [str(path)]
