"""Lists as PsychoPy's conditions files: CSV, or Excel's workbooks."""

import csv
import io
import zipfile
from collections.abc import Sequence
from datetime import datetime

from experiments.extras import require
from experiments.trials.columns import columns_of
from experiments.trials.lists import Trial

_THEN = datetime(2023, 1, 1)
"""What a workbook says of when it was made: the same trials give the same bytes."""


def psychopy_csv(trials: Sequence[Trial], media: str) -> bytes:
    """Return a run as CSV in UTF-8, one row a trial."""
    rows = [columns_of(trial, media) for trial in trials]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def psychopy_xlsx(trials: Sequence[Trial], media: str) -> bytes:
    """Return a run as a workbook of one sheet.

    Raises:
        AvmitError: openpyxl is not installed.
    """
    openpyxl = require("openpyxl", "--format xlsx", "'avmit[stimuli]'")
    book = openpyxl.Workbook()
    rows = [columns_of(trial, media) for trial in trials]
    sheet = book.active
    sheet.title = "trials"
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    book.properties.created = book.properties.modified = _THEN
    written = io.BytesIO()
    book.save(written)
    return _without_dates(written)


def _without_dates(book: io.BytesIO) -> bytes:
    """Pack a workbook again, each part of it with one date, and without what openpyxl adds."""
    packed = io.BytesIO()
    stamp = f"{_THEN:%Y-%m-%dT%H:%M:%SZ}".encode()
    with zipfile.ZipFile(book) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                head, _, rest = content.partition(b'<dcterms:modified xsi:type="dcterms:W3CDTF">')
                if rest:
                    tag = b'<dcterms:modified xsi:type="dcterms:W3CDTF">'
                    content = head + tag + stamp + rest[rest.index(b"<") :]
            entry = zipfile.ZipInfo(name, (_THEN.year, 1, 1, 0, 0, 0))
            new.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
