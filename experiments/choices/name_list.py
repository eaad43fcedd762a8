"""A list of videos in a file: a CSV with the column `filename`."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

from avmit import AvmitError
from conversion.release.csv_table import read_csv_table
from conversion.whole import read_regular, write_whole
from conversion.wording import printable

KEY = "filename"
_MOST_BYTES = 256_000_000
_REMEDY = f"take what `avmit silent` wrote, or begin the list with the line {KEY}"


def read_names(place: str | os.PathLike[str]) -> list[str]:
    """Return the names in a list.

    Raises:
        AvmitError: it cannot be read, or is no such CSV.
    """
    if not isinstance(place, (str, os.PathLike)):
        raise AvmitError(
            f"silent= is a {type(place).__name__}: pass the path of the file that `avmit silent` "
            f"wrote, a CSV with the column {KEY}"
        )
    path = Path(place)
    try:
        data = read_regular(path, _MOST_BYTES)
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise AvmitError(f"{printable(str(path))} cannot be read ({reason})") from None
    table = read_csv_table(path, data, [KEY], remedy=_REMEDY)
    table.check([])
    names: list[str] = table.rows[KEY].tolist()
    return names


def write_names(path: Path, names: Iterable[str]) -> None:
    """Write a list; one that is there stays, if it says the same.

    Raises:
        AvmitError: something else is there, or it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([KEY])
    writer.writerows([name] for name in names)
    data = text.getvalue().encode()
    said = printable(str(path))
    try:
        if not os.path.lexists(path):
            write_whole(path, data)
        elif not path.is_file() or path.read_bytes() != data:
            raise AvmitError(f"{said} is there already and is another file: choose another --out")
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise AvmitError(f"{said} cannot be written ({reason}): choose another --out") from None
