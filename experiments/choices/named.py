"""Rows by the names of their videos."""

from collections.abc import Sequence
from typing import Literal, get_args

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avmit import AvmitError
from conversion.wording import printable, some
from experiments.choices.paper import Chosen
from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import Numbers
from experiments.feeding.tables.conditions import Mask, check_has_audio, with_audio
from experiments.feeding.tables.labels import LabelColumn
from experiments.feeding.tables.seen import small_columns, small_names

Missing = Literal["error", "skip"]
KEY = "filename"


def filenames(parts: Sequence[Part], wanted_by: str) -> pa.ChunkedArray:
    """Return the names of the rows' videos, large_string, null where a join found nothing.

    Raises:
        AvmitError: there is no such column, or it is not text.
    """
    there = small_names(parts)
    if KEY not in there:
        raise AvmitError(
            f"{wanted_by} needs column '{KEY}', which these rows do not have "
            f"({', '.join(map(printable, there))}): load it too"
        )
    column = small_columns(parts, [KEY])[KEY]
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise AvmitError(f"{wanted_by} needs text in column '{KEY}', which is {column.type}")
    return column.cast(pa.large_string())


def is_named(names: pa.ChunkedArray, wanted: Sequence[str]) -> Mask:
    """Tell which of the rows' names are among the wanted ones."""
    found = pc.is_in(names, value_set=pa.array(wanted, pa.large_string())).to_numpy()
    mask: Mask = found & names.is_valid().to_numpy()
    return mask


def heard_of(parts: Sequence[Part], wanted: bool, silent: Sequence[str] | None) -> Mask:
    """Tell which rows are of videos with audio, or without, by `has_audio` or a list of the silent.

    Raises:
        AvmitError: neither tells, or there are no names for the list.
    """
    if silent is None:
        return with_audio(parts, wanted)
    check_has_audio(wanted)
    without = is_named(filenames(parts, "silent="), silent)
    if "has_audio" in small_names(parts):
        without |= with_audio(parts, False)
    mask: Mask = ~without if wanted else without
    return mask


def of_choice(parts: Sequence[Part], chosen: Chosen, missing: Missing) -> Mask:
    """Tell which rows are of the videos of a choice.

    Raises:
        AvmitError: rows lack videos of the choice, unless those are skipped; or a row is of another
            class than the choice says.
    """
    if missing not in get_args(Missing):
        raise AvmitError(f"missing={missing!r}: it is one of {', '.join(get_args(Missing))}")
    names = filenames(parts, "choice=")
    wanted = pa.array(chosen.rows[KEY].tolist(), pa.large_string())
    there = pc.is_in(wanted, value_set=names.combine_chunks()).to_numpy(zero_copy_only=False)
    if missing == "error" and not there.all():
        lacked = chosen.rows[KEY][~there].map(printable).tolist()
        raise AvmitError(
            f"{len(lacked):,} of the {len(wanted):,} videos of {chosen.file} are not in these "
            f'rows: {some(lacked)}: pass missing="skip" to do without them'
        )
    places = pc.index_in(names, value_set=wanted).fill_null(-1).to_numpy()
    places = np.where(names.is_valid().to_numpy(), places, -1)
    _check_labels(parts, chosen, places)
    mask: Mask = places >= 0
    return mask


def _check_labels(parts: Sequence[Part], chosen: Chosen, places: Numbers) -> None:
    """Refuse rows whose `label`, if there is one with names, is not what the choice says."""
    for part in parts:
        feature = part.dataset.features[part.names["label"]] if "label" in part.names else None
        if not isinstance(feature, datasets.ClassLabel) or not feature.names:
            continue
        label = LabelColumn(part, "label")
        numbers = np.append(label.renumbered(label.names), -1)[part.at(np.arange(len(part)))]
        own = np.array([*label.names, "no class"], object)[numbers]
        other = chosen.rows["label"].to_numpy(object)[places]
        wrong = np.flatnonzero((places >= 0) & (own != other))
        if len(wrong):
            row = wrong[0]
            raise AvmitError(
                f"{chosen.file}, row {chosen.rows.index[places[row]]}: label is "
                f"'{printable(other[row])}', and '{printable(own[row])}' in these rows: take both "
                "of one release"
            )
