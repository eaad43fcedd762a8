"""The authors' choices of videos: their CSVs in a folder, at an address, or in the cache."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from avmit import AvmitError
from conversion.release.csv_table import Rule, read_csv_table
from conversion.spelled import Spelled, argument, spelled
from conversion.whole import read_regular, write_whole
from conversion.wording import printable
from experiments.choices.fetch import fetch

Choice = Literal["paper-train", "paper-validation"]
PAPER = (
    "https://raw.githubusercontent.com/mjoannou/audiovisual-moments-in-time/"
    "84a34ae7552f9bd331f75bbf4de55df69d91862b/audiovisual_action_recognition"
)
"""The folder of the authors' CSVs in their repository (CC0), as it was with that commit."""

COLUMNS = (
    *("filename", "actual_label", "r1", "r2", "r3"),
    *("label", "video_location", "tfrecord_filename"),
)
_MOST_BYTES = 64_000_000
"""A hundred times the larger of the two files."""


@dataclass(frozen=True)
class _File:
    name: str
    sha256: str


_FILES: Mapping[Choice, _File] = {
    "paper-train": _File(
        "AVMIT_train.csv", "05c88cff51297fe58d8c84673a2ab52a82597580348163c3a6ac359cef83d809"
    ),
    "paper-validation": _File(
        "AVMIT_validation.csv", "00c371912e5fdfbb371f763238478b5e1bbcc9ea6169afc2a98274f21ecd1e6a"
    ),
}


@dataclass(frozen=True)
class Chosen:
    """The videos of a choice, in its order; `rows` has `filename` and `label`, by their lines."""

    file: Path
    rows: pd.DataFrame


def read_choice(choice: Choice, place: str | os.PathLike[str] | None) -> Chosen:
    """Read one of the authors' choices.

    Args:
        choice: which one.
        place: the folder that has its CSV, the CSV, or the http(s) address of either; None for the
            authors' repository, from which it is fetched once.

    Raises:
        AvmitError: there is no such choice, the CSV is not there or cannot be fetched, or it is not
            one of the authors' layout; the text names file and row.
    """
    if choice not in _FILES:
        known = ", ".join(f'"{name}"' for name in get_args(Choice))
        raise AvmitError(f"choice={choice!r}: it is one of {known}")
    file = _FILES[choice]
    if place is None:
        path, data = _kept(file)
    elif isinstance(place, str) and place.startswith(("http://", "https://")):
        address = place if place.endswith(".csv") else f"{place.rstrip('/')}/{file.name}"
        path, data = Path(address.rsplit("/", 1)[-1]), fetch(address, _MOST_BYTES, _instead(file))
    elif isinstance(place, (str, os.PathLike)):
        path, data = _read(Path(place), file)
    else:
        raise AvmitError(
            spelled(argument("choice_from", place), " is no path and no address: ", _instead(file))
        )
    _check_other(choice, path, data)
    table = read_csv_table(path, data, COLUMNS)
    table.check([_not_empty(table.rows, name) for name in ("filename", "label")])
    table.check([_once(table.rows)])
    if table.rows.empty:
        raise AvmitError(f"{path} names no videos: take it from the authors' repository again")
    return Chosen(path, table.rows[["filename", "label"]])


def _check_other(choice: Choice, path: Path, data: bytes) -> None:
    """Refuse the authors' list of another choice, on which a network was trained or is tested."""
    for other, file in _FILES.items():
        if other != choice and hashlib.sha256(data).hexdigest() == file.sha256:
            raise AvmitError(
                spelled(
                    f"{printable(str(path))} is the authors' list {other}, not {choice}: ",
                    _instead(_FILES[choice]),
                )
            )


def _read(place: Path, file: _File) -> tuple[Path, bytes]:
    path = place / file.name if place.is_dir() else place
    try:
        return path, read_regular(path, _MOST_BYTES)
    except FileNotFoundError:
        raise AvmitError(
            spelled(f"{printable(str(path))} is not there: ", _instead(file))
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise AvmitError(f"{printable(str(path))} cannot be read ({printable(reason)})") from None


def _kept(file: _File) -> tuple[Path, bytes]:
    """Return the authors' file, from the cache or else from their repository."""
    own, caches = os.environ.get("AVMIT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    base = Path(own) if own else Path(caches or "~/.cache") / "avmit"
    path = base.expanduser() / "paper" / file.name
    try:
        data = read_regular(path, _MOST_BYTES)
        if hashlib.sha256(data).hexdigest() == file.sha256:
            return path, data
    except OSError:
        pass
    address = f"{PAPER}/{file.name}"
    data = fetch(address, _MOST_BYTES, _instead(file))
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise AvmitError(
            spelled(f"{address} is not the authors' file any longer: ", _instead(file))
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError:
        return Path(file.name), data  # a full or read-only disk: it is fetched again next time
    return path, data


def _instead(file: _File) -> Spelled:
    return spelled(
        "pass ", argument("choice_from"), f" a folder that has {file.name}, or that file"
    )


def _not_empty(rows: pd.DataFrame, column: str) -> Rule:
    wrong = (rows[column] == "").to_numpy(bool)
    return wrong, lambda row: f"{column} is empty: take it from the authors' repository again"


def _once(rows: pd.DataFrame) -> Rule:
    def message(row: pd.Series) -> str:
        first = rows.index[np.flatnonzero(rows["filename"] == row["filename"])[0]]
        return f"{printable(row['filename'])} stands in row {first} already: keep one of the two"

    return rows["filename"].duplicated().to_numpy(bool), message
