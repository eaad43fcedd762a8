"""Which rows a matrix has, and in which order: the package's, the test set's, or a list's."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

import avmit
from avmit import AvmitError
from conversion.spelled import argument, spelled
from conversion.wording import first_line, printable
from experiments.feeding.rows.columns import Numbers
from experiments.feeding.tables.seen import small_columns
from experiments.feeding.tables.sides import side

Missing = Literal["error", "skip"]
Order = str | os.PathLike[str] | Sequence[str]
COLUMNS = ("filename", "MiT_filename")
"""What the names of videos are called, here and in BOLD Moments."""
_TABLES = (".csv", ".tsv", ".parquet", ".pq", ".gz", ".bz2")


def wanted_names(order: Order, package: Path | str | None) -> list[str] | None:
    """Return the names of the videos that an order asks for; None for those there are, as they are.

    Args:
        order: `package`; `test_set`, the order of test_set.csv; the path of a text file with a name
            a line, or of a table with a column of COLUMNS; or the names.
        package: the package whose test set it is, if that is known.

    Raises:
        AvmitError: it cannot be read, has no names, or there is no package for `test_set`.
    """
    if not isinstance(order, (str, os.PathLike)):
        names = [str(name) for name in order]
    elif order == "package":
        return None
    elif order == "test_set":
        if package is None:
            raise AvmitError(
                "order='test_set' needs the package: name the config, as in avmit.features("
                '"yamnet_effnet", order="test_set"), or give the names as a list'
            )
        loaded = avmit.load("test_set", "test", data_dir=package, columns="filename")
        return list(loaded["filename"][:])
    else:
        names = _read(Path(order))
    if not names:
        raise AvmitError(f"{order_name(order)} names no video: give a filename a line")
    return names


def order_name(order: Order) -> str:
    """Return how an order is called in texts: a file by its name."""
    if isinstance(order, (str, os.PathLike)):
        return printable(Path(order).name)
    return "the list"


def chosen_rows(
    names: Sequence[str], wanted: Sequence[str] | None, said: str, missing: Missing
) -> tuple[Numbers, list[str]]:
    """Return the numbers of the rows that are wanted, in that order, and the names that have none.

    A name that is wanted twice is there twice, as in a list of trials.

    Raises:
        AvmitError: a name that is wanted has no row, unless `missing` is `skip`, or has two.
    """
    if wanted is None:
        return np.arange(len(names)), []
    places = {name: number for number, name in enumerate(names)}
    if len(places) < len(names):
        counts = Counter(names)
        twice = next((name for name in wanted if counts[name] > 1), None)
        if twice is not None:
            raise AvmitError(
                f"{counts[twice]} rows are called {printable(twice)}, so {said} does not say "
                "which: leave the order out, or choose rows first"
            )
    left_out = [name for name in wanted if name not in places]
    if left_out and missing == "error":
        raise AvmitError(
            spelled(
                f"{len(left_out):,} of {len(wanted):,} videos of {said} are not in these rows, the "
                f"first {printable(left_out[0])}: leave them out with ",
                argument("missing", "skip"),
                ", or mend the list",
            )
        )
    rows = np.array([places[name] for name in wanted if name in places], np.int64)
    if not len(rows):
        raise AvmitError(
            f"none of {len(wanted):,} videos of {said} is in these rows: filenames are such as "
            f"{printable(names[0])}"
        )
    return rows, left_out


def _read(path: Path) -> list[str]:
    if path.suffix.lower() in _TABLES:
        return _of_table(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or printable(first_line(error))
        raise AvmitError(
            f"order {printable(str(path))} cannot be read ({reason}): give package, test_set, or a "
            "file with a filename a line"
        ) from error
    names = [line.strip() for line in text.splitlines()]
    names = [name for name in names if name]
    return names[1:] if names and names[0] in COLUMNS else names


def _of_table(path: Path) -> list[str]:
    table: Any = side(path, "the order")
    for column in COLUMNS:
        if column in table.column_names:
            values = small_columns(table.parts, [column])[column].drop_null()
            return [str(value) for value in values.to_pylist()]
    there = ", ".join(map(printable, table.column_names))
    raise AvmitError(
        f"{printable(str(path))} has no column {' or '.join(COLUMNS)}, only {there}: rename the "
        "one with the videos' names"
    )
