"""Joining configs, ratings and others' tables by a key: `avmit.join`."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from avmit import AvmitError
from conversion.wording import printable
from experiments.feeding.rows import Part
from experiments.feeding.tables.joined import Joined
from experiments.feeding.tables.keys import Duplicates, How, keys_of, meet
from experiments.feeding.tables.seen import seen
from experiments.feeding.tables.sides import Side, side


def join(
    left: Any,
    right: Any,
    on: str | tuple[str, str] = "filename",
    how: How = "inner",
    suffixes: tuple[str, str] = ("", "_right"),
    duplicates: Duplicates = "error",
) -> Joined:
    """Put the rows of two tables that have the same key side by side, without copying embeddings.

    Args:
        left: a `Dataset` of `avmit.load` or `load_dataset`, what `avmit.join` returned, a table of
            pandas or Arrow, or the path of a CSV, TSV or Parquet file.
        right: as `left`.
        on: the column of both that holds the keys, or that of the left and that of the right. Keys
            are text or whole numbers; labels are compared by their names.
        how: `inner` keeps the rows that have a key of both; `left` keeps all of the left, with
            nothing from the right where that lacks the key.
        suffixes: what is put after the name of a column that both have, on the left and on the
            right. The key stands once, under its name on the left.
        duplicates: where a key stands more than once on a side: an `error`; only its `first` row
            there; or `all` pairs, as of many trials with one video.

    Returns:
        The joined rows in the order of the left, then of the right. Its `report` says which rows of
        either side the other lacks.

    Raises:
        AvmitError: a side is no table or has no such column, keys are of two kinds, none is on both
            sides, or one stands more than once.
    """
    for name, value, kinds in (("how", how, How), ("duplicates", duplicates, Duplicates)):
        if value not in get_args(kinds):
            raise AvmitError(f"{name}={value!r}: it is one of {', '.join(get_args(kinds))}")
    ours, theirs = _pair("on", (on, on) if isinstance(on, str) else on)
    endings = _pair("suffixes", suffixes)
    sides = side(left, "the left"), side(right, "the right")
    meeting = meet(keys_of(sides[0], ours), keys_of(sides[1], theirs), how, duplicates)
    names = _names(sides, (ours, theirs), endings)
    return Joined(
        [
            *_renamed(sides[0].parts, names[0], meeting.left),
            *_renamed(sides[1].parts, names[1], meeting.right),
        ],
        meeting.report,
    )


def _pair(option: str, value: Any) -> tuple[str, str]:
    if (
        isinstance(value, (str, bytes))
        or not isinstance(value, Sequence)
        or len(value) != 2
        or not all(isinstance(one, str) for one in value)
    ):
        raise AvmitError(f"{option}={value!r}: give two texts, for the left and for the right")
    return value[0], value[1]


def _names(
    sides: tuple[Side, Side], keys: tuple[str, str], suffixes: tuple[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what each side's columns are called in the join; the right's key is left out."""
    columns = sides[0].column_names, [n for n in sides[1].column_names if n != keys[1]]
    shared = set(columns[0]) & set(columns[1])
    left = {n: n + suffixes[0] if n in shared and n != keys[0] else n for n in columns[0]}
    right = {n: n + suffixes[1] if n in shared else n for n in columns[1]}
    every = [*left.values(), *right.values()]
    for name in every:
        if every.count(name) > 1:
            raise AvmitError(
                f"two columns would be '{printable(name)}' with suffixes={suffixes}: pass others"
            )
    return left, right


def _renamed(parts: Sequence[Part], names: Mapping[str, str], rows: Any) -> list[Part]:
    """Return the parts with the columns that have a name, and these rows of them."""
    renamed = []
    for part in parts:
        own = {names[name]: column for name, column in part.names.items() if name in names}
        if own:
            renamed.append(seen(Part(part.dataset, own, part.rows), rows))
    return renamed
