"""What the Brain Imaging Data Structure writes down: tab-separated tables and JSON beside them."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.whole import read_regular

NOT_AVAILABLE = "n/a"
_MOST_BYTES = 256_000_000
_BREAKS = re.compile(r"[\t\r\n]")


def tsv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return a table as BIDS has it: UTF-8, tabs, one line a row, `n/a` for None.

    Raises:
        AvmitError: a value has a tab or a line break, which no table can hold.
    """
    lines = ["\t".join(columns)]
    for row in rows:
        values = [shown(row[column]) for column in columns]
        for column, value in zip(columns, values, strict=True):
            if _BREAKS.search(value):
                raise AvmitError(f"{column} {value!r} has a tab or a line break: rename it")
        lines.append("\t".join(values))
    return "".join(f"{line}\n" for line in lines).encode()


def shown(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_AVAILABLE
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def read_tsv(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Return a table's rows, by column.

    Raises:
        AvmitError: it cannot be read, is no table in UTF-8, or lacks one of the columns `needed`.
    """
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise AvmitError(f"{path} cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise AvmitError(f"{path} is not text in UTF-8") from None
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = next(lines, [])
    if missing := [column for column in needed if column not in columns]:
        raise AvmitError(f"{path} has no column {', '.join(missing)}: let avmit write it again")
    rows = []
    for number, line in enumerate(lines, 2):
        if len(line) != len(columns):
            raise AvmitError(
                f"{path}, line {number}: {len(line)} values for {len(columns)} columns"
            )
        rows.append(dict(zip(columns, line, strict=True)))
    return rows


def json_bytes(content: Any) -> bytes:
    """Return JSON that people read: indented, in UTF-8, keys in the order they have."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
