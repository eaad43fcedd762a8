"""Read a list of videos: what its columns are, which split each video is in, and what is wrong."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pandas as pd

from avmit import AvmitError
from conversion.package.manifest import LISTED_KEY
from conversion.package.manifest_problems import split_problem
from conversion.release.csv_table import CsvTable, Rule, read_csv_table
from conversion.whole import read_regular
from conversion.wording import printable
from extraction.lists.columns import labelled, typed

LABEL = "label"
SPLIT = "split"
OURS = ("audio", "visual", "has_audio")
"""The columns that a config gets beside those of its list."""

MOST_LABELS = 5_000
"""Names of classes that a list can have: they stand in the card, of which YAML readers hold all."""

_MOST_BYTES = 1_000_000_000
_MOST_SPLITS = 100
_MOST_COLUMNS = 200
_LONGEST_NAME = 200
_LONGEST_LABEL = 200
_LONGEST_PATH = 4096  # Linux's PATH_MAX
_LONGEST_TEXT = 10_000  # so that the text of a record batch's rows fits into an Arrow array
_REMEDY = "save the list as CSV in UTF-8, a header with the column filename above a row each"

_PART = r"(?:[^/.{0}]|\.[^/.{0}]|\.\.[^/{0}])[^/{0}]*".format(r"\\\x00-\x1f\x7f-\x9f")
_PATH = re.compile(f"{_PART}(?:/{_PART})*")
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class VideoList:
    """The videos of a list, in its order.

    `columns` are those of a config before the embeddings, `filename` and `label` first, and a row
    has their values in that order, a label by its name. `splits` has the places of each split's
    rows, `train` first.
    """

    file: Path
    sha256: str
    columns: datasets.Features
    rows: list[tuple[Any, ...]]
    splits: dict[str, npt.NDArray[np.int64]]


def read_video_list(file: Path) -> VideoList:
    """Read a CSV with a column `filename`, the paths of videos, and any other columns.

    Raises:
        AvmitError: it cannot be read, is no such list or has a bad row; the text names file and
            row.
    """
    data = _content(file)
    table = read_csv_table(file, data, [LISTED_KEY], others=True, remedy=_REMEDY)
    digest = hashlib.sha256(data).hexdigest()
    del data
    names = list(table.rows.columns)
    _check_columns(file, names)
    table.check(_rules(table.rows))
    if table.rows.empty:
        raise AvmitError(f"{file} has no rows: {_REMEDY}")
    splits = _splits(table)
    # Taken out one by one: of a million rows, no column is to be held twice for long.
    columns = {LISTED_KEY: (datasets.Value("string"), table.rows.pop(LISTED_KEY).tolist())}
    if LABEL in names:
        columns[LABEL] = labelled(table.rows.pop(LABEL))
        _check_labels(file, columns[LABEL][0].names)
    others = [name for name in names if name not in (LISTED_KEY, LABEL, SPLIT)]
    columns |= {name: typed(table.rows.pop(name)) for name in others}
    rows = list(zip(*(values for _, values in columns.values()), strict=True))
    features = datasets.Features({name: feature for name, (feature, _) in columns.items()})
    return VideoList(file, digest, features, rows, splits)


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a list, in hex.

    Raises:
        AvmitError: it cannot be read.
    """
    return hashlib.sha256(_content(file)).hexdigest()


def _content(file: Path) -> bytes:
    try:
        return read_regular(file, _MOST_BYTES)
    except OSError as error:
        what = f"{file} cannot be read ({error.strerror})" if error.strerror else str(error)
        raise AvmitError(f"{what}: --list takes a CSV with a column filename") from None


def _check_columns(file: Path, names: list[str]) -> None:
    """Refuse a header that cannot be that of a config."""
    problem = ""
    if len(names) > _MOST_COLUMNS:
        problem = f"{len(names):,} columns, more than {_MOST_COLUMNS}: leave some out"
    for place, name in enumerate(names, 1):
        if not name:
            problem = (
                f"column {place} has no name: give it one, or leave it out (pandas writes none "
                "with to_csv(..., index=False))"
            )
        elif name != printable(name) or "\t" in name or len(name) > _LONGEST_NAME:
            shown = printable(name[:_LONGEST_NAME])
            problem = f"column {place}, '{shown}', is no name of one line of {_LONGEST_NAME} signs"
        elif name in OURS:
            problem = f"column '{name}' will be that of the embeddings: rename yours"
        if problem:
            raise AvmitError(f"{file}, row 1: {problem}")


def _rules(rows: pd.DataFrame) -> list[Rule]:
    paths = rows[LISTED_KEY]
    wrong = np.fromiter((bool(_path_problem(path)) for path in paths), bool, len(paths))
    rules: list[Rule] = [
        (wrong, lambda row: f"filename {_shown(row[LISTED_KEY])} {_path_problem(row[LISTED_KEY])}"),
        (paths.duplicated().to_numpy(bool), _Twice(rows)),
    ]
    for name, problem in ((SPLIT, split_problem), (LABEL, _label_problem)):
        if name in rows:
            rules.append(_different(rows[name], problem))
    others = [name for name in rows if name not in (LISTED_KEY, LABEL, SPLIT)]
    return [*rules, *(_short(rows[name]) for name in others)]


def _path_problem(path: str) -> str:
    """Say why a path is none below --videos; nothing if it is one."""
    if not path:
        return "is empty: write the path of a video below --videos"
    if len(path) > _LONGEST_PATH:
        return f"is longer than the {_LONGEST_PATH:,} signs of any path"
    if _PATH.fullmatch(path) and not _DRIVE.match(path):
        return ""
    if "\\" in path:
        return "has a backslash: write / between folders"
    return (
        "is no path below --videos: write folder/name.mp4, without a / before it, and without . "
        "and .. and control characters in it"
    )


class _Twice:
    """Says where a video stood already; found only when there is one to tell of."""

    def __init__(self, rows: pd.DataFrame):
        self._rows = rows

    def __call__(self, row: Any) -> str:
        first = self._rows.index[self._rows[LISTED_KEY] == row[LISTED_KEY]][0]
        return f"{_shown(row[LISTED_KEY])} stands in row {first} already: keep one of the two"


def _different(texts: "pd.Series[str]", problem: Callable[[str], str]) -> Rule:
    """Return the rule that a column's values, of which few are different, have no problem."""
    codes, different = pd.factorize(texts)
    wrong = np.array([bool(problem(text)) for text in different], bool)
    name = str(texts.name)
    return (
        wrong[codes] if len(wrong) else np.zeros(len(codes), bool),
        lambda row: f"{name} {_shown(row[name])}: {problem(row[name])}",
    )


def _short(texts: "pd.Series[str]") -> Rule:
    name = texts.name
    return (
        (texts.str.len() > _LONGEST_TEXT).to_numpy(bool),
        lambda row: (
            f"{name} {_shown(row[name])} has {len(row[name]):,} signs, more than "
            f"{_LONGEST_TEXT:,}: leave the column out"
        ),
    )


def _label_problem(label: str) -> str:
    if not label:
        return "a label is empty: write one, or give the column another name"
    if len(label) > _LONGEST_LABEL:
        return f"a label is longer than {_LONGEST_LABEL} signs: give the column another name"
    return ""


def _check_labels(file: Path, names: list[str]) -> None:
    if len(names) > MOST_LABELS:
        raise AvmitError(
            f"{file}: column label has {len(names):,} different values, and a dataset's card holds "
            f"{MOST_LABELS:,} names of classes: give the column another name, so that it stays text"
        )


def _splits(table: CsvTable) -> dict[str, npt.NDArray[np.int64]]:
    """Return the places of each split's rows; all are `train` where the list does not say."""
    if SPLIT not in table.rows:
        return {"train": np.arange(len(table.rows))}
    codes, names = pd.factorize(table.rows[SPLIT])
    if len(names) > _MOST_SPLITS:
        raise AvmitError(
            f"{table.file}: column split has {len(names):,} different values, more than "
            f"{_MOST_SPLITS}: give the column another name, so that it stays text"
        )
    order = sorted(names, key=lambda name: (name != "train", name))
    seen: dict[str, str] = {}
    for name in order:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise AvmitError(
                f"{table.file}: splits '{other}' and '{name}' would be the same files where upper "
                "and lower case are one: write them alike"
            )
    return {name: np.flatnonzero(codes == list(names).index(name)) for name in order}


def _shown(text: str) -> str:
    return f"'{printable(text[:100])}{'...' if len(text) > 100 else ''}'"
