"""Read a CSV as strings and name its first bad row; what is a row, Python's `csv` would say."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from avmit import AvmitError
from conversion.wording import printable

Rule = tuple[npt.NDArray[np.bool_], Callable[[Any], str]]
"""Which rows break a rule, and what to say of one, given as a pandas Series."""


_MOST_LINES = 5_000_000
"""Far more than any file of the release has, and what every machine can hold."""


_MOST_SHOWN = 200
"""Signs of a header in an error."""


@dataclass(frozen=True)
class CsvTable:
    """A CSV's rows, each indexed by the line that it ends on; the header's is 1.

    `broken` tells why there are no more, where what follows is no row.
    """

    file: Path
    rows: pd.DataFrame
    broken: AvmitError | None = None

    def check(self, rules: Sequence[Rule]) -> None:
        """Raise AvmitError for the first row that breaks a rule, and the first of its rules."""
        broken = [(wrong.argmax(), n) for n, (wrong, _) in enumerate(rules) if wrong.any()]
        if broken:
            place, rule = min(broken)
            row = self.rows.iloc[place]
            raise AvmitError(f"{self.file}, row {row.name}: {rules[rule][1](row)}")
        if self.broken is not None:
            raise self.broken


AGAIN = "take the file from the release again"
"""What to do about a file of a release."""


def read_csv_table(
    file: Path,
    data: bytes,
    columns: Sequence[str],
    others: bool = False,
    remedy: str = AGAIN,
) -> CsvTable:
    """Read `columns` of a file's content; blank lines do not count, byte order marks neither.

    With `others` all that the header names are read, in its order. `remedy` is what to do where the
    file is not so.

    Raises:
        AvmitError: it is not UTF-8, has a NUL or millions of lines, or its header is no row, lacks
            one of `columns` or has one that is read twice.
    """
    try:
        text = data.decode()
        if b"\0" in data:
            raise csv.Error("line contains NUL")
        if text.startswith("\ufeff"):
            data = text.lstrip("\ufeff").encode()
        del text  # of a million rows it takes as much as they do
        reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), strict=True)
        header: list[str] = next(reader, [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _not_csv(file, error, remedy) from error
    _check_header(file, header, [*columns, *header] if others else columns, remedy)
    columns = header if others else columns
    lines = max(data.count(b"\n"), data.count(b"\r"))
    if lines > _MOST_LINES:
        raise AvmitError(f"{file} has {lines:,} lines, more than {_MOST_LINES:,}: {remedy}")
    places = [header.index(column) for column in columns]
    rows = _read_plain(data)
    if rows is None:
        wanted = dict(zip(columns, places, strict=True))
        return _read_by_row(file, reader, len(header), wanted, remedy)
    return CsvTable(file, rows.iloc[1:, places].set_axis(list(columns), axis=1))


def _check_header(file: Path, header: list[str], columns: Sequence[str], remedy: str) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise AvmitError(
            f"{file}, row 1: no column {', '.join(missing)}; it has "
            f"{_shown(header) or 'none'}: {remedy}"
        )
    times = Counter(header)
    twice = [column for column in dict.fromkeys(columns) if times[column] > 1]
    if twice:
        raise AvmitError(
            f"{file}, row 1: column {_shown(twice)} stands there more than once: {remedy}"
        )


def _shown(names: Sequence[str]) -> str:
    text = printable(", ".join(names[:_MOST_SHOWN]))
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _read_plain(data: bytes) -> pd.DataFrame | None:
    """Read a file without quotes and blank lines whose rows are as long as the header, or None.

    All are strings, for the header is read as a row, and nobody takes it for numbers.
    """
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    odd_ends = b"\r" in data and data.count(b"\r") != data.count(b"\r\n")
    if odd_ends or b'"' in data or _may_have_long_field(data):
        return None
    try:
        rows = pd.read_csv(
            io.BytesIO(data), header=None, dtype=str, keep_default_na=False, engine="pyarrow"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        return None
    return rows.set_axis(range(1, lines + 1)) if len(rows) == lines else None


def _may_have_long_field(data: bytes) -> bool:
    """Whether a line may be longer than a field that `csv` takes."""
    step = csv.field_size_limit() // 2
    return any(data.find(b"\n", at, at + step) < 0 for at in range(0, len(data) - step, step))


def _read_by_row(
    file: Path, reader: Any, width: int, places: Mapping[str, int], remedy: str
) -> CsvTable:
    """Read any other file: of quotes, line ends and ragged rows pandas has a view of its own."""
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    broken = None
    select: Callable[[list[str]], Any] = itemgetter(*places.values())
    one = len(places) == 1
    try:
        for fields in filter(None, reader):
            if len(fields) != width:
                broken = AvmitError(
                    f"{file}, row {reader.line_num}: {len(fields)} fields where the header has "
                    f"{width}: {remedy}"
                )
                break
            rows.append((select(fields),) if one else select(fields))
            lines.append(reader.line_num)
    except csv.Error as error:
        broken = _not_csv(file, error, remedy)
    return CsvTable(file, pd.DataFrame(rows, lines, list(places), dtype=str), broken)


def _not_csv(file: Path, error: Exception, remedy: str) -> AvmitError:
    remedy = "take it from the release" if remedy == AGAIN else remedy
    return AvmitError(f"{file} is not UTF-8 CSV ({error}): {remedy}")
