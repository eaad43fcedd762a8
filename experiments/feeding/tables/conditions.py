"""What rows can be selected by, each decided for all rows at once by their small columns."""

import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from avmit import AvmitError
from conversion.wording import first_line, printable
from experiments.feeding.rows import Part
from experiments.feeding.tables.seen import small_columns, small_names

Mask = npt.NDArray[np.bool_]
_MISSING = re.compile(r"No match for FieldRef\.Name\((.*)\) in ")
VALUES = (1, 2, 3)
"""What a rater could say: 3 is that the audiovisual action is there and prominent."""


def enough(parts: Sequence[Part], least: int) -> Mask:
    """Tell which rows have at least so many ratings of 3.

    Raises:
        AvmitError: it is no number of ratings, or there is no column r3.
    """
    (r3,) = _counts(parts, ("r3",), "min_r3")
    chosen: Mask = r3 >= _whole("min_r3", least)
    return chosen


def majority(parts: Sequence[Part], value: int) -> Mask:
    """Tell of which rows more than half of all ratings are of this value.

    Raises:
        AvmitError: it is no value of a rating, or there are no columns r1, r2 and r3.
    """
    if _whole("majority", value) not in VALUES:
        raise AvmitError(f"majority={value!r}: a rating is 1, 2 or 3")
    counts = _counts(parts, ("r1", "r2", "r3"), "majority")
    chosen: Mask = 2 * counts[value - 1] > counts.sum(axis=0)
    return chosen


def _counts(parts: Sequence[Part], names: Sequence[str], wanted_by: str) -> npt.NDArray[Any]:
    """Return the counts (names, rows); NaN where there are none, which is more than nothing."""
    there = small_names(parts)
    for name in names:
        if name not in there:
            raise AvmitError(
                f"{wanted_by} needs column '{name}', which these rows do not have "
                f"({_shown(there)}): load it too, or join it: "
                'avmit.join(rows, avmit.load("ratings", "train"))'
            )
    table = small_columns(parts, names)
    for name in names:
        kind = table[name].type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise AvmitError(f"{wanted_by} needs numbers in column '{name}', which is {kind}")
    return np.stack([table[name].cast(pa.float64(), safe=False).to_numpy() for name in names])


def with_audio(parts: Sequence[Part], wanted: bool) -> Mask:
    """Tell which rows are of videos with an audio stream, or without one.

    Raises:
        AvmitError: there is no column `has_audio`.
    """
    check_has_audio(wanted)
    there = small_names(parts)
    if "has_audio" not in there:
        raise AvmitError(
            f"has_audio needs a column of that name, which these rows do not have "
            f"({_shown(there)}): configs of `avmit extract` have it; for the published ones, "
            "`avmit silent` lists the videos without: pass silent= its file"
        )
    column = small_columns(parts, ["has_audio"])["has_audio"]
    if not pa.types.is_boolean(column.type):
        raise AvmitError(f"column 'has_audio' is {column.type}, not true or false")
    return _mask(pc.equal(column, pa.scalar(bool(wanted))))


def check_has_audio(wanted: bool) -> None:
    """Refuse what is neither True nor False.

    Raises:
        AvmitError: it is neither.
    """
    if not isinstance(wanted, (bool, np.bool_)):
        raise AvmitError(f"has_audio={wanted!r}: it is True or False")


def computed(parts: Sequence[Part], where: pc.Expression) -> Mask:
    """Tell for which rows an expression over the small columns is true; it may be null.

    Raises:
        AvmitError: it is no expression, not one of true and false, or cannot be computed.
    """
    if not isinstance(where, pc.Expression):
        raise AvmitError(
            f"where={printable(repr(where))} is a {type(where).__name__}, not an expression of "
            'pyarrow.compute: write one such as pc.field("r3") >= 2'
        )
    there = small_names(parts)
    rows = pa.dataset.dataset(small_columns(parts, there))
    try:
        column = rows.to_table(columns={"where": where})["where"]
    except (pa.ArrowException, TypeError, ValueError) as error:
        said = printable(first_line(error))
        if missing := _MISSING.match(said):
            raise AvmitError(
                f"where names '{missing[1]}', which is none of the small columns: {_shown(there)}"
            ) from error
        raise AvmitError(f"where cannot be computed ({said})") from error
    if not pa.types.is_boolean(column.type):
        raise AvmitError(f"where gives {column.type}, not true or false: compare it with something")
    return _mask(column)


def _mask(column: pa.ChunkedArray) -> Mask:
    mask: Mask = column.fill_null(False).to_numpy()
    return mask


def _whole(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or number < 0:
        raise AvmitError(f"{name}={value!r}: it is a whole number from 0 on")
    return number


def _shown(names: Sequence[str]) -> str:
    return ", ".join(printable(name) for name in names)
