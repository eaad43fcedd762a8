"""`avmit.select` chooses rows by their small columns."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import avmit

COLUMNS = "filename, label, MIT_label, r1, r2, r3, video_location, tfrecord_filename"


@pytest.fixture(scope="module")
def train(package: Path) -> Any:
    return avmit.load("vggish_vgg16", "train", data_dir=package)


@pytest.fixture(scope="module")
def ratings(package: Path) -> Any:
    return avmit.load("ratings", "train", data_dir=package)


def small(ds: Any) -> list[dict[str, Any]]:
    """The rows without embeddings, as `datasets` reads them."""
    names = [name for name in ds.column_names if name not in ("audio", "visual")]
    rows: list[dict[str, Any]] = ds.select_columns(names).with_format(None).to_list()
    return rows


@st.composite
def derived(draw: st.DrawFn, ds: Any) -> Any:
    """A dataset that was shuffled, selected from or put together, in any order of these."""
    for step in draw(
        st.lists(st.sampled_from(["shuffle", "select", "slice", "twice"]), max_size=3)
    ):
        if step == "shuffle":
            ds = ds.shuffle(seed=draw(st.integers(0, 9)))
        elif step == "select":
            rows = st.lists(st.integers(0, len(ds) - 1), min_size=1, max_size=20)
            ds = ds.select(draw(rows))
        elif step == "slice":
            start = draw(st.integers(0, len(ds) - 1))
            ds = ds.select(range(start, draw(st.integers(start + 1, len(ds)))))
        elif len(ds) < 100:
            ds = datasets.concatenate_datasets([ds, ds])
    return ds


@settings(max_examples=30)
@given(data=st.data())
def test_the_rows_are_those_of_a_loop(train: Any, data: st.DataObject) -> None:
    ds = data.draw(derived(train))
    names = ds.features["label"].names
    min_r3 = data.draw(st.none() | st.integers(0, 5))
    majority = data.draw(st.none() | st.sampled_from([1, 2, 3]))
    labels = data.draw(st.none() | st.lists(st.sampled_from([*names, *range(16)]), min_size=1))
    r1 = data.draw(st.none() | st.integers(0, 2))
    relabel = labels is not None and data.draw(st.booleans())
    wanted = {names[one] if isinstance(one, int) else one for one in labels or []}
    expected = []
    for number, row in enumerate(small(ds)):
        counts = row["r1"], row["r2"], row["r3"]
        if min_r3 is not None and row["r3"] < min_r3:
            continue
        if majority is not None and counts[majority - 1] <= sum(counts) / 2:
            continue
        if labels is not None and names[row["label"]] not in wanted:
            continue
        if r1 is not None and not (row["r1"] == r1 or row["video_location"] == "validation"):
            continue
        expected.append(number)
    where = None
    if r1 is not None:
        where = (pc.field("r1") == r1) | (pc.field("video_location") == "validation")
    options: dict[str, Any] = {
        "min_r3": min_r3,
        "majority": majority,
        "labels": labels,
        "where": where,
    }
    if not expected:
        with pytest.raises(avmit.AvmitError, match=f"^none of {len(ds)} rows passes: "):
            avmit.select(ds, **options, relabel=relabel)
        return
    chosen = avmit.select(ds, **options, relabel=relabel)
    rows = [small(ds)[number] for number in expected]
    if relabel:
        assert chosen.features["label"] == datasets.ClassLabel(names=sorted(wanted))
        rows = [{**row, "label": sorted(wanted).index(names[row["label"]])} for row in rows]
    assert chosen.column_names == ds.column_names
    assert small(chosen) == rows
    last = len(expected) - 1
    assert chosen[last]["audio"] == ds[expected[last]]["audio"]
    batches = [batch["audio"] for batch in avmit.batches(chosen, 7, visual=False)]
    plain = [batch["audio"] for batch in avmit.batches(ds.select(expected), 7, visual=False)]
    for one, other in zip(batches, plain, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_configs_of_ratings_are_chosen_by_their_labels(ratings: Any, package: Path) -> None:
    chosen = avmit.select(ratings, labels=["raining", "barking"], min_r3=2)
    expected = [
        row
        for row in ratings.to_list()
        if row["AVMIT_label"] in ("raining", "barking") and row["r3"] >= 2
    ]
    assert chosen.to_list() == expected
    assert chosen.features == ratings.features
    test = avmit.load("test_set", "test", data_dir=package)
    assert len(avmit.select(test, classes="test16")) == 16


def test_one_class_can_be_given_alone(train: Any) -> None:
    diving = train.features["label"].str2int("diving")
    by_name, by_number = (avmit.select(train, labels=one) for one in ("diving", diving))
    assert by_name["label"][:] == by_number["label"][:] == [diving] * 2
    several: Any = np.array([diving])
    assert avmit.select(train, labels=several)["label"][:] == [diving] * 2


def test_the_16_classes_are_those_of_the_test_set() -> None:
    assert len(avmit.TEST_CLASSES) == len(set(avmit.TEST_CLASSES)) == 16
    assert list(avmit.TEST_CLASSES) == sorted(avmit.TEST_CLASSES)


def test_test16_leaves_other_classes_out() -> None:
    names = sorted(["aardvark", *avmit.TEST_CLASSES, "zipping"])
    ds = datasets.Dataset.from_dict(
        {"label": [0, 1, 17, 16, None, -1], "n": range(6)},
        datasets.Features({"label": datasets.ClassLabel(names=names), "n": datasets.Value("int8")}),
    )
    assert avmit.select(ds, classes="test16")["n"][:] == [1, 3]
    numbered = avmit.select(ds, classes="test16", relabel=True)
    assert numbered["label"][:] == [0, 15]
    assert numbered.features["label"].names == list(avmit.TEST_CLASSES)


def test_more_than_half_of_the_ratings_is_a_majority() -> None:
    counts = [(0, 0, 3), (1, 0, 2), (1, 1, 1), (2, 0, 2), (0, 3, 4), (2, 2, 3), (0, 0, 0)]
    ds = datasets.Dataset.from_dict(
        dict(zip(("r1", "r2", "r3"), map(list, zip(*counts, strict=True)), strict=True))
    )
    chosen = avmit.select(ds, majority=3).to_list()
    assert [tuple(row.values()) for row in chosen] == [(0, 0, 3), (1, 0, 2), (0, 3, 4)]


def test_has_audio() -> None:
    ds = datasets.Dataset.from_dict({"has_audio": [True, False, None, True], "n": range(4)})
    assert avmit.select(ds, has_audio=True)["n"][:] == [0, 3]
    assert avmit.select(ds, has_audio=False)["n"][:] == [1]


def test_a_row_for_which_where_is_null_is_not_chosen() -> None:
    ds = datasets.Dataset.from_dict({"n": [1, None, 3]})
    assert avmit.select(ds, where=pc.field("n") > 1)["n"][:] == [3]
    assert avmit.select(ds, where=~(pc.field("n") > 1))["n"][:] == [1]


def test_without_a_condition_all_rows_are_chosen(train: Any) -> None:
    assert small(avmit.select(train)) == small(train)


def test_the_format_stays(train: Any) -> None:
    formatted = train.with_format("numpy", columns=["label", "audio"])
    for options in ({"min_r3": 1}, {"labels": [0, 1], "relabel": True}):
        chosen = avmit.select(formatted, **options)
        assert list(chosen[0]) == ["label", "audio"]
        assert isinstance(chosen[0]["label"], np.integer)


def refused(ds: Any, **options: Any) -> str:
    with pytest.raises(avmit.AvmitError) as raised:
        avmit.select(ds, **options)
    return str(raised.value)


def test_when_no_row_is_left_each_condition_is_counted(train: Any) -> None:
    at_least_one = int(pc.sum(pc.greater_equal(train.data["r3"], 1)).as_py())
    assert (
        refused(train, min_r3=1, labels="barking", where=pc.field("MIT_label") == "barkin")
        == f"none of 32 rows passes: min_r3=1 ({at_least_one}), where (0), labels (2)"
    )
    assert refused(train.select([]), min_r3=0) == "none of 0 rows passes: min_r3=0 (0)"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_r3": "2"}, "min_r3='2': it is a whole number from 0 on"),
        ({"min_r3": -1}, "min_r3=-1: it is a whole number from 0 on"),
        ({"min_r3": True}, "min_r3=True: it is a whole number from 0 on"),
        ({"majority": 4}, "majority=4: a rating is 1, 2 or 3"),
        ({"has_audio": "yes"}, "has_audio='yes': it is True or False"),
        ({"labels": ["barkin"]}, "no class 'barkin' in 'label': did you mean 'barking'?"),
        ({"labels": "Barking"}, "no class 'Barking' in 'label': did you mean 'barking'?"),
        (
            {"labels": "xyz"},
            "no class 'xyz' in 'label': there are: barking; diving; drumming; and 13 more",
        ),
        ({"labels": [0, 16]}, "no class 16 in 'label', which counts them from 0 to 15"),
        ({"labels": -1}, "no class -1 in 'label', which counts them from 0 to 15"),
        ({"labels": 1.0}, "no class 1.0 in 'label', which counts them from 0 to 15"),
        ({"labels": []}, "labels=[] are no classes: name one or more, or leave it out"),
        (
            {"classes": "test"},
            "classes='test': there is \"test16\", those of the test set; name others in labels=",
        ),
        (
            {"classes": "test16", "labels": [1]},
            "labels= and classes= both say which classes: leave one out",
        ),
        (
            {"relabel": True},
            'relabel=True numbers the classes that labels= or classes="test16" names: give one',
        ),
        (
            {"where": "r3 > 2"},
            "where='r3 > 2' is a str, not an expression of pyarrow.compute: write one such as "
            'pc.field("r3") >= 2',
        ),
        (
            {"where": (pc.field("r3") > 1) & (pc.field("r4") > 1)},
            f"where names 'r4', which is none of the small columns: {COLUMNS}",
        ),
        (
            {"where": pc.field("audio").is_valid()},
            f"where names 'audio', which is none of the small columns: {COLUMNS}",
        ),
        (
            {"where": pc.field("r3")},
            "where gives int64, not true or false: compare it with something",
        ),
        (
            {"where": pc.field("r3") > "a"},
            "where cannot be computed (Function 'greater' has no kernel matching input types "
            "(int64, string))",
        ),
        (
            {"has_audio": True},
            f"has_audio needs a column of that name, which these rows do not have ({COLUMNS}): "
            "configs of `avmit extract` have it; for the published ones, `avmit silent` lists the "
            "videos without: pass silent= its file",
        ),
    ],
)
def test_what_cannot_be_selected_by(train: Any, options: dict[str, Any], said: str) -> None:
    assert refused(train, **options) == said


def test_columns_that_are_not_there(package: Path) -> None:
    raw = avmit.load("raw_ratings", "train", data_dir=package)
    columns = "filename, AVMIT_label, MIT_label, video_location, rating"
    remedy = 'load it too, or join it: avmit.join(rows, avmit.load("ratings", "train"))'
    assert refused(raw, min_r3=2) == (
        f"min_r3 needs column 'r3', which these rows do not have ({columns}): {remedy}"
    )
    assert refused(raw, majority=2) == (
        f"majority needs column 'r1', which these rows do not have ({columns}): {remedy}"
    )
    narrow = avmit.load("vggish_vgg16", "train", data_dir=package, columns=["filename", "audio"])
    assert refused(narrow, classes="test16") == (
        "classes= needs a column 'label' or 'AVMIT_label' with the names of classes, which these "
        "rows do not have (filename, audio): load it too, or join it with avmit.join"
    )


def test_columns_of_another_kind() -> None:
    ds = datasets.Dataset.from_dict({"r3": ["3"], "has_audio": ["yes"], "AVMIT_label": ["diving"]})
    assert refused(ds, min_r3=3) == "min_r3 needs numbers in column 'r3', which is string"
    assert refused(ds, has_audio=True) == "column 'has_audio' is string, not true or false"
    assert refused(ds, labels=3) == "'AVMIT_label' has names, and 3 is none: name the class"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            datasets.DatasetDict(train=datasets.Dataset.from_dict({"r3": [1]})),
            "these are splits, train: give one of them, such as ds['train']",
        ),
        (
            pa.table({"r3": [1]}),
            "a Table is not rows: give what avmit.load, load_dataset, avmit.select or avmit.join "
            "return",
        ),
    ],
    ids=["splits", "table"],
)
def test_what_cannot_be_selected_from(source: Any, said: str) -> None:
    assert refused(source, min_r3=1) == said
