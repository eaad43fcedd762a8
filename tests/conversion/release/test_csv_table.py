"""pandas reads a CSV to the rows that Python's csv reads, up to the first that it refuses."""

import csv
import io
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.release.csv_table import read_csv_table

FILE = Path("a.csv")
COLUMNS = ["b", "a"]
AGAIN = "take the file from the release again"

characters = [*"abc1é日 \t\v\x1c\x85\u2028\ufeff'#\\", '"', ",", "\n", "\r"]
words = st.sampled_from(["", "1", "01", "1.0", "1e5", "NA", "nan", "null", "true", "2020-01-01"])
field = st.one_of(st.text(st.sampled_from(characters), max_size=4), words)
header = st.sampled_from(["a,b", "b,a,c", "a,b,", ",b,a,,1", '"a",b', '"x\ny",a,b', '"x""",a,b'])
ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n", "\n \n", ""])


@st.composite
def written(draw: st.DrawFn) -> str:
    """A table as a program writes it, of rows as long as the header or nearly so."""
    first = draw(header)
    width = len(next(csv.reader(io.StringIO(first, newline=""))))
    text = io.StringIO(newline="")
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoting: Literal[0, 1] = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    rows = st.lists(field, min_size=width, max_size=width)
    ragged = st.lists(field, min_size=width - 1, max_size=width + 2)
    csv.writer(text, lineterminator=end, quoting=quoting).writerows(
        draw(st.lists(st.one_of(rows, rows, rows, ragged), max_size=5))
    )
    return first + end + text.getvalue()


line = st.lists(field, max_size=4).map(",".join)
typed = st.builds(
    lambda mark, first, end, lines: mark + first + end + "".join(map("".join, lines)),
    st.sampled_from(["", "", "\ufeff", "\ufeff\ufeff"]),
    header,
    ends,
    st.lists(st.tuples(st.one_of(line, st.builds("{},{}".format, field, field)), ends), max_size=4),
)


def read_by_csv(text: str) -> tuple[list[tuple[int, list[str]]], str | None]:
    """Return (line, fields of COLUMNS) of each row, and what is wrong with the next, if any."""
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), strict=True)
    try:
        names = next(reader)
        if any(names.count(column) != 1 for column in COLUMNS):
            return rows, f"{FILE}, row 1: "
        for fields in reader:
            if fields and len(fields) != len(names):
                wrong = f"{len(fields)} fields where the header has {len(names)}: {AGAIN}"
                return rows, f"{FILE}, row {reader.line_num}: {wrong}"
            if fields:
                row = [fields[names.index(column)] for column in COLUMNS]
                rows.append((reader.line_num, row))
    except csv.Error as error:
        return rows, f"{FILE} is not UTF-8 CSV ({error}): take it from the release"
    return rows, ""


@settings(max_examples=1500)
@given(st.one_of(typed, written()))
@example('a,b\n"1"2,3\n')
@example("a,b\n\n1,2,3\n4,5,6\n")
@example("a,b\n1,2\n3,4,5\n6\n")
@example("a,b\n1,2\n,\n\n")
@example("a,b,\n1,2,\n1,2\n")
@example('a,b\r1,"2\r\n"\r')
@example("a,b")
def test_rows_are_those_of_pythons_csv(text: str) -> None:
    rows, wrong = read_by_csv(text)
    try:
        table = read_csv_table(FILE, text.encode(), COLUMNS)
    except AvmitError as error:
        assert rows == []
        assert wrong
        assert str(error).startswith(wrong)
        return
    assert list(table.rows.columns) == COLUMNS
    assert list(zip(table.rows.index, table.rows.to_numpy().tolist(), strict=True)) == rows
    assert str(table.broken or "") == wrong


@pytest.mark.parametrize("quote", ["", '"'])
def test_large_files(quote: str) -> None:
    """Larger than the blocks that pandas reads, with types that change and no end of line."""
    values = [f"{quote}{n if n < 150_000 else 'x'}{quote}" for n in range(200_000)]
    text = "a,,b\n" + "\n".join(
        f"{value},{'' if n < 150_000 else n},00{value}" for n, value in enumerate(values)
    )
    rows, wrong = read_by_csv(text)
    table = read_csv_table(FILE, text.encode(), COLUMNS)
    assert (wrong, table.broken) == ("", None)
    assert list(zip(table.rows.index, table.rows.to_numpy().tolist(), strict=True)) == rows


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a,b\n1,\xff\n", "'utf-8' codec can't decode byte 0xff in position 6: "),
        ("a,b\n1,2".encode("utf-16"), "'utf-8' codec can't decode byte 0xff in position 0: "),
        (b"a,b\n1,2\0\n", "line contains NUL"),
        (b'a,"b\n1,2\n', "unexpected end of data"),
        (b"a,b\n" + b"x" * 131_073 + b",1\n", "field larger than field limit (131072)"),
    ],
)
def test_no_csv(data: bytes, reason: str) -> None:
    with pytest.raises(AvmitError) as raised:
        table = read_csv_table(FILE, data, COLUMNS)
        assert table.rows.empty
        table.check([])
    assert str(raised.value).startswith(f"{FILE} is not UTF-8 CSV ({reason}")
    assert str(raised.value).endswith("): take it from the release")


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_more_lines_than_any_machine_can_hold(end: str) -> None:
    data = f"a,b{end}".encode() + end.encode() * 5_000_000
    with pytest.raises(AvmitError) as raised:
        read_csv_table(FILE, data, COLUMNS)
    assert str(raised.value) == f"{FILE} has 5,000,001 lines, more than 5,000,000: {AGAIN}"
