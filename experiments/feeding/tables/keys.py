"""The columns that a join goes by, and which rows of either side meet."""

from dataclasses import dataclass
from typing import Literal

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from avmit import AvmitError
from conversion.wording import printable, some
from experiments.feeding.rows.columns import NOT_THERE, Numbers
from experiments.feeding.tables.report import JoinReport, SideReport
from experiments.feeding.tables.seen import small_columns, small_names
from experiments.feeding.tables.sides import Side

How = Literal["inner", "left"]
Duplicates = Literal["error", "first", "all"]
MOST_ROWS = 10**8
"""Of a join: where a key stands often on both sides, all pairs would fill the memory."""


@dataclass(frozen=True)
class Keys:
    """The keys of a side's rows, in their order: text or int64, null where there is none."""

    side: str
    column: str
    values: pa.Array

    def __str__(self) -> str:
        return f"'{printable(self.column)}' of {self.side}"


def keys_of(side: Side, column: str) -> Keys:
    """Return the keys that are in a column: text, whole numbers, or the names of labels.

    Raises:
        AvmitError: there is no such column, or it holds something else.
    """
    if column not in side.column_names:
        there = some([printable(name) for name in small_names(side.parts)])
        raise AvmitError(
            f"no column '{printable(str(column))}' in {side.name}, which has {there}: name it with "
            'on="filename", or on=("left column", "right column")'
        )
    part = next(part for part in side.parts if column in part.names)
    kind = part.column(column).type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = _values(side, column).cast(pa.large_string())
    elif pa.types.is_integer(kind):
        values = _values(side, column).cast(pa.int64(), safe=False)
        feature = part.dataset.features[part.names[column]]
        if isinstance(feature, datasets.ClassLabel) and feature.names:
            values = _spoken(values, feature.names)
    elif pa.types.is_null(kind):
        values = pa.nulls(len(side), pa.large_string())
    else:
        raise AvmitError(
            f"'{printable(column)}' of {side.name} is {kind}: keys are text or whole numbers"
        )
    return Keys(side.name, column, values)


def _values(side: Side, column: str) -> pa.Array:
    values = small_columns(side.parts, [column])[column].combine_chunks()
    return pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values


def _spoken(labels: pa.Array, names: list[str]) -> pa.Array:
    numbers = labels.fill_null(-1).to_numpy()
    known = (numbers >= 0) & (numbers < len(names))
    return pa.array(names, pa.large_string()).take(pa.array(numbers, mask=~known))


@dataclass(frozen=True)
class Meeting:
    """Which rows meet: the row number of the left and of the right, and what each side lacks."""

    left: Numbers
    right: Numbers
    report: JoinReport


def meet(left: Keys, right: Keys, how: How, duplicates: Duplicates) -> Meeting:
    """Find the rows of equal keys, in the order of the left side, then of the right.

    A row without a key meets none.

    Raises:
        AvmitError: the keys are of two kinds, none is on both sides, or one stands more than once
            and it was not said what to do then.
    """
    if left.values.type != right.values.type:
        kinds = {pa.large_string(): "text", pa.int64(): "whole numbers"}
        raise AvmitError(
            f"{left} is {kinds[left.values.type]} and {right} {kinds[right.values.type]}: "
            "make them the same kind"
        )
    both = pa.concat_arrays([left.values, right.values]).dictionary_encode()
    codes = both.indices.fill_null(NOT_THERE).to_numpy().astype(np.int64)
    ours, theirs = codes[: len(left.values)], codes[len(left.values) :]
    count = len(both.dictionary)
    report = JoinReport(
        SideReport(left.side, len(ours), _alone(left, ours, theirs, count)),
        SideReport(right.side, len(theirs), _alone(right, theirs, ours, count)),
    )
    if len(report.left.alone) == len(ours):
        raise AvmitError(
            f"nothing to join: {_first(left)} and {_first(right)}, and no key is on both sides"
        )
    if duplicates == "error":
        for keys, own in ((left, ours), (right, theirs)):
            _refuse_repeated(keys, own, count)
    chosen_left, chosen_right = np.arange(len(ours)), np.flatnonzero(theirs >= 0)
    if duplicates == "first":
        chosen_left, chosen_right = _firsts(ours), chosen_right[_firsts(theirs[chosen_right])]
    pairs = _pairs(ours, chosen_left, theirs, chosen_right, count, how)
    return Meeting(*pairs, report)


def _alone(keys: Keys, own: Numbers, other: Numbers, count: int) -> tuple[str | int | None, ...]:
    there = np.zeros(count + 1, bool)  # of which the last is for NOT_THERE
    there[other[other >= 0]] = True
    return tuple(keys.values.take(pa.array(np.flatnonzero(~there[own]))).to_pylist())


def _first(keys: Keys) -> str:
    named = keys.values.drop_null()
    return f"{keys} has " + (f"'{printable(str(named[0]))}'" if len(named) else "no keys")


def _refuse_repeated(keys: Keys, codes: Numbers, count: int) -> None:
    times = np.bincount(codes[codes >= 0], minlength=count)
    repeated = np.flatnonzero(times > 1)
    if not len(repeated):
        return
    row = int(np.argmax(np.isin(codes, repeated)))
    key = printable(str(keys.values[row]))
    others = f" ({len(repeated):,} keys stand more than once)" if len(repeated) > 1 else ""
    raise AvmitError(
        f"{keys} has '{key}' {times[codes[row]]} times{others}: pass "
        'duplicates="all" for every pair, or duplicates="first"'
    )


def _firsts(codes: Numbers) -> Numbers:
    """Return the first row of each key, and every row without one."""
    first = np.unique(codes, return_index=True)[1]
    return np.union1d(first, np.flatnonzero(codes == NOT_THERE))


def _pairs(
    ours: Numbers,
    chosen_left: Numbers,
    theirs: Numbers,
    chosen_right: Numbers,
    count: int,
    how: How,
) -> tuple[Numbers, Numbers]:
    """Pair each of the chosen left rows with all of the chosen right ones that have its key."""
    codes = theirs[chosen_right]
    order = chosen_right[np.argsort(codes, kind="stable")]
    times = np.append(np.bincount(codes, minlength=count), 0)  # the last is for NOT_THERE
    starts = np.cumsum(times) - times
    found = times[ours[chosen_left]]
    repeats = np.maximum(found, 1) if how == "left" else found
    total = int(repeats.sum())
    if total > MOST_ROWS:
        raise AvmitError(
            f"the join has {total:,} rows, since keys stand often on both sides: choose another "
            'key, or pass duplicates="first"'
        )
    left: Numbers = np.repeat(chosen_left, repeats)
    within = np.arange(total) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    at: Numbers = np.repeat(starts[ours[chosen_left]], repeats) + within
    there: npt.NDArray[np.bool_] = np.repeat(found > 0, repeats)
    right = np.full(total, NOT_THERE, np.int64)
    right[there] = order[at[there]]
    return left, right
