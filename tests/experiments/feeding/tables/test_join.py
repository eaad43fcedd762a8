"""`avmit.join` puts rows of equal keys side by side."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.releases import Matrix, expected_rows

import avmit

SMALL = [
    *("filename", "label", "MIT_label", "r1", "r2", "r3"),
    *("video_location", "tfrecord_filename"),
]
WIDTHS = {"audio": 128, "visual": 512, "audio_right": 1024, "visual_right": 1280}


@pytest.fixture(scope="module")
def left(package: Path) -> Any:
    return avmit.load("vggish_vgg16", "train", data_dir=package)


@pytest.fixture(scope="module")
def right(package: Path) -> Any:
    return avmit.load("yamnet_effnet", "train", data_dir=package)


def naive(
    left: list[dict[str, Any]], right: list[dict[str, Any]], key: str, how: str, duplicates: str
) -> list[tuple[int, int]]:
    """The row numbers that meet, -1 for none, by two loops."""

    def firsts(rows: list[dict[str, Any]]) -> list[int]:
        keys = [row[key] for row in rows]
        return [n for n, k in enumerate(keys) if k is None or k not in keys[:n]]

    ours, theirs = range(len(left)), range(len(right))
    if duplicates == "first":
        ours, theirs = firsts(left), firsts(right)  # type: ignore[assignment]
    pairs = []
    for n in ours:
        found = [m for m in theirs if left[n][key] is not None and left[n][key] == right[m][key]]
        pairs += [(n, m) for m in found]
        if how == "left" and not found:
            pairs.append((n, -1))
    return pairs


keys = st.none() | st.sampled_from(["a", "b", "c", "ä", "", "a\nb"])


@settings(max_examples=60)
@given(
    st.lists(keys, max_size=8),
    st.lists(keys, max_size=8),
    st.sampled_from(["inner", "left"]),
    st.sampled_from(["error", "first", "all"]),
)
def test_the_rows_are_those_of_two_loops(
    ours: list[str | None], theirs: list[str | None], how: Any, duplicates: Any
) -> None:
    left = pa.table({"k": pa.array(ours, pa.string()), "n": range(len(ours))})
    right = pa.table({"m": range(len(theirs)), "k": pa.array(theirs, pa.large_string())})
    met = set(ours) & set(theirs) - {None}
    there = [[key for key in side if key is not None] for side in (ours, theirs)]
    repeated = any(len(set(side)) < len(side) for side in there)
    if not met or (duplicates == "error" and repeated):
        with pytest.raises(avmit.AvmitError):
            avmit.join(left, right, "k", how, duplicates=duplicates)
        return
    joined = avmit.join(left, right, "k", how, duplicates=duplicates)
    pairs = naive(left.to_pylist(), right.to_pylist(), "k", how, duplicates)
    assert [(row["n"], -1 if row["m"] is None else row["m"]) for row in joined] == pairs
    assert [row["k"] for row in joined] == [ours[n] for n, _ in pairs]
    assert list(joined.report.left.alone) == [key for key in ours if key not in met]
    assert list(joined.report.right.alone) == [key for key in theirs if key not in met]
    # pandas joins rows without keys with each other.
    if how == "inner":
        frames = left.to_pandas().dropna(subset="k"), right.to_pandas().dropna(subset="k")
        if duplicates == "first":
            frames = frames[0].drop_duplicates("k"), frames[1].drop_duplicates("k")
        merged = frames[0].merge(frames[1], on="k")
        assert sorted(zip(merged["n"], merged["m"], strict=True)) == sorted(pairs)


def padded(arrays: Sequence[Matrix]) -> Matrix:
    longest = max(map(len, arrays))
    return np.stack([np.pad(a, ((0, longest - len(a)), (0, 0))) for a in arrays])


@pytest.fixture(scope="module")
def records(release: Path) -> dict[str, dict[str, Any]]:
    """For each video of train, what a join of the two sets must have of it."""
    left, right = (expected_rows(release, c, "train") for c in ("vggish_vgg16", "yamnet_effnet"))
    return {
        a["filename"]: a | {f"{name}_right": value for name, value in b.items()}
        for a, b in zip(left, right, strict=True)
    }


@settings(max_examples=20)
@given(data=st.data())
def test_batches_of_a_join_are_those_of_a_loop(
    left: Any, right: Any, records: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    ours = data.draw(st.lists(st.integers(0, 31), min_size=1, max_size=12))
    theirs = data.draw(st.lists(st.integers(0, 31), min_size=1, max_size=12, unique=True))
    how: Any = data.draw(st.sampled_from(["inner", "left"]))
    a = left.shuffle(seed=data.draw(st.integers(0, 3))).select(ours)
    b = datasets.concatenate_datasets([right.select(theirs[:5]), right.select(theirs[5:])])
    names, there = a["filename"][:], set(b["filename"][:])
    if not there & set(names):
        with pytest.raises(avmit.AvmitError, match=r"^nothing to join: "):
            avmit.join(a, b, how=how, duplicates="all")
        return
    joined = avmit.join(a, b, how=how, duplicates="all")
    expected = [name for name in names if name in there or how == "left"]
    assert len(joined) == len(expected)
    chosen = data.draw(st.lists(st.integers(0, len(joined) - 1), min_size=1, max_size=9))
    for seen, wanted in (
        (joined, expected),
        (joined.select(chosen), [expected[n] for n in chosen]),
    ):
        batches = list(avmit.batches(seen, 4, columns=("label", "filename", "r3_right")))
        assert [name for batch in batches for name in batch["filename"]] == wanted
        for batch in batches:
            here = [(name, records[name], name in there) for name in batch["filename"]]
            for column, width in WIDTHS.items():
                nothing = np.empty((0, width), np.float32)
                arrays = [
                    row[column] if found or not column.endswith("_right") else nothing
                    for _, row, found in here
                ]
                assert batch[f"{column}_lengths"].tolist() == [len(array) for array in arrays]
                np.testing.assert_array_equal(batch[column], padded(arrays))
            assert batch["label"].tolist() == [row["label"] for _, row, _ in here]
            r3 = [row["r3"] if found else np.nan for _, row, found in here]
            np.testing.assert_array_equal(batch["r3_right"], r3)


def test_two_configs(left: Any, right: Any) -> None:
    joined = avmit.join(left, right.shuffle(seed=0))
    assert joined.column_names == [
        *SMALL,
        *("audio", "visual"),
        *(f"{name}_right" for name in SMALL if name != "filename"),
        *("audio_right", "visual_right"),
    ]
    assert len(joined) == 32
    assert joined.features["label"] == left.features["label"]
    assert joined.features["audio_right"] == right.features["audio"]
    by_name = {row["filename"]: row for row in right}
    for n in (0, 31, -1):
        row, want = joined[n], left[n]
        assert list(row) == joined.column_names
        other = by_name[want["filename"]]
        np.testing.assert_array_equal(row["audio"], np.float32(want["audio"]))
        np.testing.assert_array_equal(row["visual_right"], np.float32(other["visual"]))
        assert [row[name] for name in SMALL] == [want[name] for name in SMALL]
        assert row["r3_right"] == other["r3"]
    assert repr(joined) == f"Joined(32 rows: {', '.join(joined.column_names)})"
    rows = avmit.rows(joined)
    assert rows.widths == WIDTHS
    np.testing.assert_array_equal(rows[7]["audio_right"], joined[7]["audio_right"])


def test_embeddings_stay_in_the_files(left: Any, right: Any) -> None:
    before = pa.total_allocated_bytes()
    joined = avmit.join(left, right.shuffle(seed=0))
    assert pa.total_allocated_bytes() - before < 100_000
    rows = pickle.loads(pickle.dumps(avmit.rows(joined)))
    assert not rows[0]["audio"].flags.writeable
    assert len(pickle.dumps(joined)) < 30_000
    again = pickle.loads(pickle.dumps(joined))
    pd.testing.assert_frame_equal(again.to_pandas(), joined.to_pandas())
    assert again.report == joined.report


def test_a_config_and_the_ratings(left: Any, package: Path) -> None:
    narrow = left.select_columns(["filename", "audio"]).shuffle(seed=2)
    joined = avmit.join(narrow, avmit.load("ratings", "train", data_dir=package))
    first = "; ".join(map(str, joined.report.right.alone[:3]))
    assert str(joined.report) == (
        "the left: 32 of 32 rows found\n"
        f"the right: 32 of 48 rows found, 16 not: {first}; and 13 more"
    )
    chosen = avmit.select(joined, min_r3=2, labels=["barking", "diving"])
    frame = joined.to_pandas()
    frame = frame[(frame["r3"] >= 2) & frame["AVMIT_label"].isin(["barking", "diving"])]
    pd.testing.assert_frame_equal(chosen.to_pandas(), frame.reset_index(drop=True))
    assert [row["filename"] for row in chosen] == frame["filename"].tolist()


def test_a_join_of_joins(left: Any, right: Any, package: Path) -> None:
    two = avmit.join(left.shuffle(seed=1).select(range(20)), right.select(range(25)), how="left")
    ratings = avmit.load("ratings", "train", data_dir=package, columns=["filename", "AVMIT_label"])
    three = avmit.join(two, ratings, suffixes=("", "_rated"))
    assert len(three) == 20
    missing = [row["filename"] for row in three if row["label_right"] is None]
    assert tuple(missing) == two.report.left.alone
    four = avmit.join(ratings, three.select(range(19, -1, -2)), how="left", suffixes=("_l", ""))
    assert len(four) == 48
    frame = four.to_pandas(["filename", "AVMIT_label_l", "AVMIT_label", "label_right"])
    assert frame["AVMIT_label"].notna().sum() == 10
    there = frame.dropna(subset="AVMIT_label")
    assert there["AVMIT_label"].tolist() == there["AVMIT_label_l"].tolist()
    batch = next(iter(avmit.batches(four, 48, columns=("filename",))))
    wide = {row["filename"]: np.float32(row["visual"]) for row in right.select(range(25))}
    seen = {row["filename"] for row in three.select(range(19, -1, -2))}
    for name, array, length in zip(
        batch["filename"], batch["visual_right"], batch["visual_right_lengths"], strict=True
    ):
        if name in seen and name in wide:
            np.testing.assert_array_equal(array[:length], wide[name])
        else:
            assert length == 0


def test_the_key_stands_once_under_its_name_on_the_left() -> None:
    left = pd.DataFrame({"filename": ["a", "b"], "clip": [1, 2]})
    right = pd.DataFrame({"clip": ["b", "a"], "filename": [3, 4]})
    joined = avmit.join(left, right, ("filename", "clip"))
    assert list(joined) == [
        {"filename": "a", "clip": 1, "filename_right": 4},
        {"filename": "b", "clip": 2, "filename_right": 3},
    ]
    both = avmit.join(left, left, "filename", suffixes=("_x", "_y"))
    assert both.column_names == ["filename", "clip_x", "clip_y"]


def test_labels_are_compared_by_their_names(left: Any) -> None:
    other = left.features["label"].names[::-1]
    classes = datasets.Dataset.from_dict(
        {"label": range(16), "name": other},
        datasets.Features(
            {"label": datasets.ClassLabel(names=other), "name": datasets.Value("string")}
        ),
    )
    names = left.features["label"].names
    joined = avmit.join(left, classes, "label", duplicates="all")
    assert [row["name"] for row in joined] == [names[row["label"]] for row in joined]
    table = pd.DataFrame({"class": ["diving", "barking"], "n": [1, 2]})
    few = avmit.join(left, table, ("label", "class"), duplicates="all").to_pandas()
    assert set(zip(few["label"], few["n"], strict=True)) == {
        (names.index("diving"), 1),
        (names.index("barking"), 2),
    }


def test_whole_numbers_are_keys() -> None:
    left = pa.table({"id": pa.array([3, None, 5], pa.int8())})
    right = pa.table({"id": pa.array([5, 3], pa.uint64()), "x": ["five", "three"]})
    assert avmit.join(left, right, "id").to_pandas()["x"].tolist() == ["three", "five"]
    whole = avmit.join(left, right, "id", how="left")
    assert [row["x"] for row in whole] == ["three", None, "five"]
    assert (
        str(whole.report)
        == "the left: 2 of 3 rows found, 1 not: (no key)\nthe right: 2 of 2 rows found"
    )


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(avmit.AvmitError) as raised:
        avmit.join(*arguments, **options)
    return str(raised.value)


def test_keys_that_stand_more_than_once(left: Any) -> None:
    table = pa.table({"filename": ["x", "y", "x", "x", None, None, "y"]})
    one = left["filename"][0]
    repeated = pa.table({"filename": [one, "y", "y"]})
    hint = 'pass duplicates="all" for every pair, or duplicates="first"'
    assert refused(table, table) == (
        f"'filename' of the left has 'x' 3 times (2 keys stand more than once): {hint}"
    )
    assert refused(left, repeated) == f"'filename' of the right has 'y' 2 times: {hint}"
    assert len(avmit.join(left, repeated, duplicates="first")) == 1
    assert len(avmit.join(table, table, duplicates="all")) == 13
    assert len(avmit.join(table, table, how="left", duplicates="first")) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"how": "outer"}, "how='outer': it is one of inner, left"),
        ({"duplicates": "last"}, "duplicates='last': it is one of error, first, all"),
        ({"on": ["filename"]}, "on=['filename']: give two texts, for the left and for the right"),
        ({"on": None}, "on=None: give two texts, for the left and for the right"),
        ({"suffixes": "_x"}, "suffixes='_x': give two texts, for the left and for the right"),
        (
            {"suffixes": ("", "")},
            "two columns would be 'label' with suffixes=('', ''): pass others",
        ),
        (
            {"on": "file"},
            "no column 'file' in the left, which has filename; label; MIT_label; and 5 more: name "
            'it with on="filename", or on=("left column", "right column")',
        ),
        (
            {"on": ("filename", "MiT_filename")},
            "no column 'MiT_filename' in the right, which has filename; label; MIT_label; and 5 "
            'more: name it with on="filename", or on=("left column", "right column")',
        ),
        (
            {"on": ("filename", "r3")},
            "'filename' of the left is text and 'r3' of the right whole numbers: make them the "
            "same kind",
        ),
        (
            {"on": "audio"},
            "'audio' of the left is list<item: fixed_size_list<item: float>[128]>: keys are text "
            "or whole numbers",
        ),
    ],
)
def test_what_cannot_be_joined_so(
    left: Any, right: Any, options: dict[str, Any], said: str
) -> None:
    told = refused(left, right, **options)
    assert told.replace("element", "item").replace("float not null", "float") == said


def test_keys_of_which_none_is_on_both_sides(left: Any) -> None:
    first = left["filename"][0]
    assert refused(left, pa.table({"clip": ["a", "b"]}), ("filename", "clip")) == (
        f"nothing to join: 'filename' of the left has '{first}' and 'clip' of the right has 'a', "
        "and no key is on both sides"
    )
    nothing = pa.table({"clip": pa.nulls(2)})
    assert refused(nothing, left, ("clip", "filename"), how="left") == (
        f"nothing to join: 'clip' of the left has no keys and 'filename' of the right has "
        f"'{first}', and no key is on both sides"
    )


def test_more_rows_than_there_can_be() -> None:
    many = pa.table({"k": pa.array(np.zeros(20_000, np.int64))})
    assert refused(many, many, "k", duplicates="all") == (
        "the join has 400,000,000 rows, since keys stand often on both sides: choose another key, "
        'or pass duplicates="first"'
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            [1],
            "a list is no table: join what avmit.load or load_dataset returns, tables of pandas or "
            "Arrow, and paths of CSV, TSV or Parquet files",
        ),
        (
            datasets.DatasetDict(train=datasets.Dataset.from_dict({"r3": [1]})),
            "these are splits, train: give one of them, such as ds['train']",
        ),
        (
            datasets.Dataset.from_dict({"r3": [1]}).to_iterable_dataset(),
            "a stream has no row numbers: give it to avmit.batches, or load it whole",
        ),
    ],
    ids=["list", "splits", "stream"],
)
def test_what_cannot_be_joined(left: Any, source: Any, said: str) -> None:
    assert refused(left, source) == refused(source, left) == said
