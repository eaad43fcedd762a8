"""Read CSV files that have no quotes a column at a time, some ten times as fast as row by row."""

import csv
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv


def read_plain_csv(data: bytes, columns: Sequence[str]) -> pa.Table | None:
    """Return `columns` of a file's content as strings, one chunk each; None if it is not plain.

    Plain means that nobody can read it in two ways: UTF-8, no quotes, unbroken line ends, different
    column names, among them `columns`, as many fields in every row, no empty one in `columns`.
    Python's `csv` reads such a file to the same strings, and says what is wrong with any other.
    """
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    if b'"' in data or data.count(b"\r") != data.count(b"\r\n"):
        return None
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()
    header = lines[0].decode().split(",") if lines else []
    if len(set(header)) < len(header) or not set(columns) <= set(header):
        return None
    if len(max(lines, key=len)) > csv.field_size_limit():
        return None
    convert = pyarrow.csv.ConvertOptions(
        include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string())
    )
    parse = pyarrow.csv.ParseOptions(quote_char=False)
    read = pyarrow.csv.ReadOptions(use_threads=False)
    try:
        table = pyarrow.csv.read_csv(pa.BufferReader(data), read, parse, convert)
    except pa.ArrowInvalid:
        return None
    table = table.combine_chunks()
    empty = any(pc.index(column, "").as_py() >= 0 for column in table.columns)
    return None if empty else table
