"""Lists of videos: what their columns are taken for, and what is said of odd and hostile ones."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import ClassLabel, Value
from hypothesis import given
from hypothesis import strategies as st
from support.lists import write_list

from avmit import AvmitError
from extraction.lists.video_list import MOST_LABELS, VideoList, read_video_list

HEADER = "save the list as CSV in UTF-8, a header with the column filename above a row each"

letters = st.sampled_from([*"abcXYZ01 _-+.éü日'\"#,;|&%=~\u200d\xa0"])
part = st.text(letters, min_size=1, max_size=6).filter(lambda text: text not in (".", ".."))
paths = st.lists(part, min_size=1, max_size=3).map("/".join)
paths = paths.filter(lambda path: not re.match("[A-Za-z]:", path))
value = st.one_of(
    st.text(st.one_of(letters, st.sampled_from("\n\r\t")), max_size=5),
    st.integers(-(2**65), 2**65).map(str),
    st.floats().map(repr),
    st.sampled_from(["", "007", "-0", "+1", "1e5", "1.50", " 1", "nan", "NA", "True", "1_0", "١"]),
)
column = st.one_of(
    st.just(value),
    st.just(st.integers(-(2**63), 2**63 - 1).map(str)),
    st.just(st.floats(allow_nan=False, allow_infinity=False).map(repr)),
)


@given(st.data(), st.lists(paths, min_size=1, max_size=6, unique=True))
def test_values_come_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, names: list[str]
) -> None:
    def many(kind: st.SearchStrategy[str]) -> list[str]:
        return data.draw(st.lists(kind, min_size=len(names), max_size=len(names)))

    texts = {"filename": names}
    for name in data.draw(st.lists(st.sampled_from(["a", "b c", "ü|", "r1"]), unique=True)):
        texts[name] = many(data.draw(column))
    file = write_list(tmp_path_factory.mktemp("list") / "list.csv", texts)
    listed = read_video_list(file)
    assert list(listed.columns) == list(texts)
    for index, (name, feature) in enumerate(listed.columns.items()):
        found = [row[index] for row in listed.rows]
        assert [type(one).__name__ for one in found] == [
            {"string": "str", "int64": "int", "float64": "float"}[feature.dtype] for _ in found
        ]
        if feature == Value("int64"):
            assert [str(one) for one in found] == texts[name]
        elif feature == Value("float64"):
            for one, text in zip(found, texts[name], strict=True):
                assert one == float(text) and math.isfinite(one)
                assert "." in text or "e" in text.lower() or int(text) == one
        else:
            assert found == texts[name]
            assert name == "filename" or not all(is_plain_int64(text) for text in found)


def is_plain_int64(text: str) -> bool:
    return re.fullmatch("0|-?[1-9][0-9]*", text) is not None and -(2**63) <= int(text) < 2**63


@pytest.mark.parametrize(
    ("texts", "feature", "values"),
    [
        (["1", "-2", "0"], Value("int64"), [1, -2, 0]),
        (["1", "2.5", "-3e2"], Value("float64"), [1.0, 2.5, -300.0]),
        (["007", "8", "9"], Value("string"), ["007", "8", "9"]),
        (["1", "", "3"], Value("string"), ["1", "", "3"]),
        (["1.0", "nan", "2.0"], Value("string"), ["1.0", "nan", "2.0"]),
        (["1.0", "1e999", "2.0"], Value("string"), ["1.0", "1e999", "2.0"]),
        (["0.5", "9007199254740993", "2"], Value("string"), ["0.5", "9007199254740993", "2"]),
        ([str(2**63), "1", "2"], Value("string"), [str(2**63), "1", "2"]),
        (["true", "false", "true"], Value("string"), ["true", "false", "true"]),
    ],
)
def test_numbers_are_numbers_where_every_value_is_one(
    tmp_path: Path, texts: list[str], feature: Value, values: list[object]
) -> None:
    file = write_list(tmp_path / "list.csv", {"filename": ["a", "b", "c"], "x": texts})
    listed = read_video_list(file)
    assert listed.columns["x"] == feature
    assert [row[1] for row in listed.rows] == values


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["dog", "Zebra", "cat", "dog"], ["Zebra", "cat", "dog"]),
        (["10", "9", "0", "9"], ["0", "9", "10"]),
        (["10", "9", "b", "9"], ["10", "9", "b"]),
    ],
)
def test_labels_are_classes(tmp_path: Path, labels: list[str], names: list[str]) -> None:
    columns = {"x": ["1", "2", "3", "4"], "filename": list("abcd"), "label": labels}
    listed = read_video_list(write_list(tmp_path / "list.csv", columns))
    assert list(listed.columns) == ["filename", "label", "x"]
    assert listed.columns["label"] == ClassLabel(names=names)
    assert listed.rows[0] == ("a", labels[0], 1)


def read(tmp_path: Path, text: str | bytes) -> VideoList:
    file = tmp_path / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_video_list(file)


def test_a_split_column_gives_the_splits(tmp_path: Path) -> None:
    listed = read(tmp_path, "split,filename\nval,a\ntrain,b\ntest,c\nval,d\n")
    assert list(listed.splits) == ["train", "test", "val"]
    assert {name: places.tolist() for name, places in listed.splits.items()} == {
        "train": [1],
        "test": [2],
        "val": [0, 3],
    }
    assert list(listed.columns) == ["filename"]
    assert list(read(tmp_path, "filename\na\n").splits) == ["train"]


def test_excel_and_pandas_write_lists_too(tmp_path: Path) -> None:
    listed = read(tmp_path, '\ufefffilename,label\r\n"a, b/c.mp4","x ""y"""\r\n')
    assert listed.rows == [("a, b/c.mp4", 'x "y"')]


def many_labels() -> str:
    rows = [f"v{number},l{number}" for number in range(MOST_LABELS + 1)]
    return "\n".join(["filename,label", *rows]) + "\n"


def many_splits() -> str:
    return "\n".join(["filename,split", *(f"v{n},s{n}" for n in range(101))]) + "\n"


BELOW = (
    "is no path below --videos: write folder/name.mp4, without a / before it, and without . and .. "
    "and control characters in it"
)
SPLIT = "use up to 100 of the letters a to z, digits and _"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", f", row 1: no column filename; it has none: {HEADER}"),
        ("a.mp4\nb.mp4\n", f", row 1: no column filename; it has a.mp4: {HEADER}"),
        ("filename\n", f" has no rows: {HEADER}"),
        ("filename;label\na;b\n", f", row 1: no column filename; it has filename;label: {HEADER}"),
        ("filename,x\na,1\nb\n", f", row 3: 1 fields where the header has 2: {HEADER}"),
        (
            "filename,x,x\na,1,2\n",
            f", row 1: column x stands there more than once: {HEADER}",
        ),
        (
            ",filename\n0,a\n",
            ", row 1: column 1 has no name: give it one, or leave it out (pandas writes none with "
            "to_csv(..., index=False))",
        ),
        (
            "filename,audio\na,1\n",
            ", row 1: column 'audio' will be that of the embeddings: rename yours",
        ),
        (
            "filename,has_audio\na,1\n",
            ", row 1: column 'has_audio' will be that of the embeddings: rename yours",
        ),
        (
            'filename,"a\nb"\na,1\n',
            ", row 1: column 2, 'a\\nb', is no name of one line of 200 signs",
        ),
        (
            f"filename,{'x' * 201}\na,1\n",
            f", row 1: column 2, '{'x' * 200}', is no name of one line of 200 signs",
        ),
        (
            "filename," + ",".join(f"c{n}" for n in range(200)) + "\n",
            ", row 1: 201 columns, more than 200: leave some out",
        ),
        (
            "filename,x\na,1\n,2\n",
            ", row 3: filename '' is empty: write the path of a video below --videos",
        ),
        ("filename\n/etc/passwd\n", f", row 2: filename '/etc/passwd' {BELOW}"),
        ("filename\na/../../b\n", f", row 2: filename 'a/../../b' {BELOW}"),
        ("filename\n./a\n", f", row 2: filename './a' {BELOW}"),
        ("filename\na//b\n", f", row 2: filename 'a//b' {BELOW}"),
        ("filename\na/\n", f", row 2: filename 'a/' {BELOW}"),
        ("filename\nC:/a\n", f", row 2: filename 'C:/a' {BELOW}"),
        ('filename\n"a\x1b[2J"\n', f", row 2: filename 'a\\x1b[2J' {BELOW}"),
        ('filename\n"a\nb"\n', f", row 3: filename 'a\\nb' {BELOW}"),
        (
            "filename\na\\b\n",
            ", row 2: filename 'a\\b' has a backslash: write / between folders",
        ),
        (
            f"filename\n{'a' * 4097}\n",
            f", row 2: filename '{'a' * 100}...' is longer than the 4,096 signs of any path",
        ),
        (
            "filename,x\na,1\nb,2\na,3\n",
            ", row 4: 'a' stands in row 2 already: keep one of the two",
        ),
        ("filename,split\na,train\nb,\n", f", row 3: split '': {SPLIT}"),
        ("filename,split\na,my-split\n", f", row 2: split 'my-split': {SPLIT}"),
        ("filename,split\na,ünder\n", f", row 2: split 'ünder': {SPLIT}"),
        ("filename,split\na,../x\n", f", row 2: split '../x': {SPLIT}"),
        ("filename,split\na,all\n", ", row 2: split 'all': datasets means all splits by it"),
        (
            "filename,split\na,Train\nb,train\n",
            ": splits 'train' and 'Train' would be the same files where upper and lower case are "
            "one: write them alike",
        ),
        (
            many_splits,
            ": column split has 101 different values, more than 100: give the column another name, "
            "so that it stays text",
        ),
        (
            "filename,label\na,\n",
            ", row 2: label '': a label is empty: write one, or give the column another name",
        ),
        (
            f"filename,label\na,{'x' * 201}\n",
            f", row 2: label '{'x' * 100}...': a label is longer than 200 signs: give the column "
            "another name",
        ),
        (
            many_labels,
            ": column label has 5,001 different values, and a dataset's card holds 5,000 names of "
            "classes: give the column another name, so that it stays text",
        ),
        (
            f"filename,x\na,1\nb,{'é' * 10_001}\n",
            f", row 3: x '{'é' * 100}...' has 10,001 signs, more than 10,000: leave the column out",
        ),
        (
            b"filename\n\xff\xfea\n",
            " is not UTF-8 CSV ('utf-8' codec can't decode byte 0xff in position 9: invalid start "
            f"byte): {HEADER}",
        ),
        (b"filename\na\0b\n", f" is not UTF-8 CSV (line contains NUL): {HEADER}"),
        (
            'filename\n"a\n',
            f" is not UTF-8 CSV (unexpected end of data): {HEADER}",
        ),
    ],
)
def test_a_bad_list_is_named_in_one_line(
    tmp_path: Path, text: str | bytes | Callable[[], str], said: str
) -> None:
    with pytest.raises(AvmitError) as raised:
        read(tmp_path, text() if callable(text) else text)
    assert str(raised.value) == f"{tmp_path / 'list.csv'}{said}"


def test_a_list_that_is_no_file(tmp_path: Path) -> None:
    takes = "--list takes a CSV with a column filename"
    with pytest.raises(AvmitError) as raised:
        read_video_list(tmp_path / "no.csv")
    what = f"{tmp_path / 'no.csv'} cannot be read (No such file or directory)"
    assert str(raised.value) == f"{what}: {takes}"
    with pytest.raises(AvmitError) as raised:
        read_video_list(tmp_path)
    assert str(raised.value) == f"{tmp_path} is no regular file: {takes}"
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(1_000_000_001)
    with pytest.raises(AvmitError, match="has 1,000,000,001 bytes, more than 1,000,000,000: "):
        read_video_list(tmp_path / "large.csv")


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_list_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, headed: bool
) -> None:
    file = tmp_path_factory.mktemp("list") / "list.csv"
    file.write_bytes(b"filename,label,split\n" * headed + content)
    try:
        assert read_video_list(file).rows
    except AvmitError as error:
        assert str(error).startswith(str(file)) and len(str(error).splitlines()) == 1
