"""What is read by column is what Python's csv reads by row; all else is left to that."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.release.plain_csv import read_plain_csv

COLUMNS = ["b", "a"]
field = st.text(st.sampled_from([*"abc1é日 \t\0\v\x1c\u2028\ufeff'#\\", '"', ","]), max_size=3)
ends = st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n", "\r\r\n", ""])
line = st.lists(field, max_size=4).map(",".join)
header = st.sampled_from(["a,b", "b,a,c", "a,b,a", "a", "\ufeffb,a", "a,b\n", "\na,b", '"a",b'])
document = st.builds(
    lambda first, end, lines: first + end + "".join(map("".join, lines)),
    header,
    ends,
    st.lists(st.tuples(st.one_of(line, st.builds("{},{}".format, field, field)), ends), max_size=4),
)


@settings(max_examples=1000)
@given(document)
def test_a_file_read_by_column_is_read_the_same_by_row(text: str) -> None:
    table = read_plain_csv(text.encode(), COLUMNS)
    if table is not None:
        rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))
        names, *others = rows
        assert len({len(row) for row in rows if row}) == 1
        by_row = [[row[names.index(name)] for name in COLUMNS] for row in others if row]
        assert [list(row.values()) for row in table.to_pylist()] == by_row
        assert all(all(row) for row in by_row)


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,2\n",
        b"a,b\r\n1,2\r\n\r\n",
        b"\xef\xbb\xbfb,c,a\n2,,1",
        b"c,b,a\n\n\xff,2,1\n".replace(b"\xff", b"\xc3\xbf"),
    ],
)
def test_plain_files_are_read(data: bytes) -> None:
    table = read_plain_csv(data, COLUMNS)
    assert table is not None
    assert table.to_pydict() == {"b": ["2"], "a": ["1"]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a\n1\n",
        b"a,a,b\n1,1,2\n",
        b"a,b\n1,\n",
        b"a,b\n1\n",
        b'a,b\n1,"2"\n',
        b"a,b\r1,2\n",
        b"a,b,c\n1,2,\xff\n",
        b"a,b,c\n1,2," + b"x" * 200_000,
        "a,b\n1,2".encode("utf-16"),
    ],
)
def test_files_that_are_not_plain_are_not(data: bytes) -> None:
    assert read_plain_csv(data, COLUMNS) is None
