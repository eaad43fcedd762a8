"""What can be done with joined rows."""

from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

import avmit


@pytest.fixture
def joined() -> Any:
    left = datasets.Dataset.from_dict(
        {
            "filename": ["a", "b", "c"],
            "audio": [[[1.0, 2]], [[3, 4], [5, 6]], []],
            "tags": [["x"], [], ["y", "z"]],
        },
        datasets.Features(
            {
                "filename": datasets.Value("string"),
                "audio": datasets.Sequence(datasets.Sequence(datasets.Value("float32"), length=2)),
                "tags": datasets.Sequence(datasets.Value("string")),
            }
        ),
    )
    right = pd.DataFrame({"filename": ["c", "a"], "n": [3, 1], "ok": [True, False]})
    return avmit.join(left, right, how="left")


def test_rows(joined: Any) -> None:
    rows = list(joined)
    assert [{**row, "audio": row["audio"].tolist()} for row in rows] == [
        {"filename": "a", "audio": [[1, 2]], "tags": ["x"], "n": 1, "ok": False},
        {"filename": "b", "audio": [[3, 4], [5, 6]], "tags": [], "n": None, "ok": None},
        {"filename": "c", "audio": [], "tags": ["y", "z"], "n": 3, "ok": True},
    ]
    assert rows[2]["audio"].shape == (0, 2)
    assert joined[-2]["filename"] == joined[np.int64(1)]["filename"] == "b"


def test_columns_of_pandas(joined: Any) -> None:
    expected = pd.DataFrame(
        {"filename": ["a", "b", "c"], "n": [1, None, 3], "ok": [False, None, True]}
    )
    frame = joined.to_pandas()
    assert list(frame) == ["filename", "tags", "n", "ok"]
    pd.testing.assert_frame_equal(frame.drop(columns="tags"), expected, check_dtype=False)
    assert list(joined.to_pandas(["n", "filename", "n"])) == ["n", "filename"]
    assert joined.to_pandas("n")["n"].tolist()[::2] == [1, 3]


def test_selecting_by_numbers(joined: Any) -> None:
    for numbers in (
        [2, 0, 2],
        (2, 0, -1),
        np.array([2, 0, 2]),
        iter([2, 0, 2]),
        pd.Series([2, 0, 2]),
    ):
        chosen = joined.select(numbers)
        assert [row["n"] for row in chosen] == [3, 1, 3]
        assert chosen.report == joined.report
    assert [row["n"] for row in joined.select(range(1, 3)).select([1])] == [3]
    assert len(joined.select([])) == 0
    assert len(avmit.rows(joined.select([]), visual=False, columns=("n",))) == 0


def test_what_is_no_row(joined: Any) -> None:
    with pytest.raises(IndexError, match=r"^row 3 of 3$"):
        joined[3]
    with pytest.raises(IndexError, match=r"^row -4 of 3$"):
        joined.select([0, -4])
    for call, said in (
        (
            lambda: joined["n"],
            "'n' is a column, and rows are taken by number: to_pandas() has the columns",
        ),
        (
            lambda: joined.select(np.array([True, False, True])),
            "select takes row numbers, not a mask: give numpy.flatnonzero(mask)",
        ),
        (
            lambda: joined.select(["a"]),
            "select takes row numbers, such as [3, 0, 5] or range(10)",
        ),
        (
            lambda: joined.to_pandas(["audio"]),
            "'audio' holds embeddings: avmit.rows and avmit.batches have it",
        ),
        (
            lambda: joined.to_pandas(["m"]),
            "no small column 'm'; there are: filename, tags, n, ok",
        ),
        (
            lambda: avmit.batches(joined),
            "no column 'visual' in these rows (filename, audio, tags, n, ok): pass visual=False",
        ),
    ):
        with pytest.raises(avmit.AvmitError) as raised:
            call()
        assert str(raised.value) == said


def test_it_can_be_selected_from(joined: Any) -> None:
    chosen = avmit.select(joined, where=pc.field("n").is_null())
    assert [row["filename"] for row in chosen] == ["b"]
    assert [row["n"] for row in avmit.select(joined)] == [1, None, 3]
