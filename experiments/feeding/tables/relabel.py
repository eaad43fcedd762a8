"""Another numbering of labels beside embeddings that stay in the mapped files."""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from avmit import AvmitError
from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import Numbers
from experiments.feeding.tables.labels import LabelColumn

_LABEL = "label"


def relabelled(label: LabelColumn, numbers: Numbers, classes: Sequence[str]) -> Part:
    """Return the part with `label` as a ClassLabel of `classes`, whose numbers are given.

    There is one for each row of the underlying table, -1 for those of no class, as ClassLabel has
    it. They are in memory, beside that table: `datasets` puts columns side by side without a copy
    where all rows of both are seen, and would copy a table of which rows were selected before.
    """
    part = label.part
    base = datasets.Dataset(
        part.dataset.data, info=part.dataset.info.copy(), split=part.dataset.split
    )
    columns = base.column_names
    if label.name == _LABEL:
        own = part.names[_LABEL]
        base = base.remove_columns(own)
    else:  # a column of names stays, and the numbers come beside it
        own = _unused(_LABEL, columns)
        columns = [*columns, own]
    kind = datasets.ClassLabel(names=list(classes))
    base = base.add_column(own, numbers, feature=kind).select_columns(columns)
    return Part(base, {**part.names, _LABEL: own}, part.at(np.arange(len(part))))


def check_place(label: LabelColumn, parts: Sequence[Part]) -> None:
    """Refuse to write `label` where a column of that name is, and holds no classes."""
    if label.name != _LABEL and any(_LABEL in part.names for part in parts):
        raise AvmitError(
            f"relabel=True writes column '{_LABEL}', and the one that is there has no names of "
            "classes: rename or remove it"
        )


def with_format_of(dataset: datasets.Dataset, other: datasets.Dataset) -> datasets.Dataset:
    """Return the dataset with the format of another one, from which it was made."""
    how: dict[str, Any] = other.format
    columns = how["columns"] if set(how["columns"]) < set(other.column_names) else None
    return dataset.with_format(
        how["type"], columns, how["output_all_columns"], **how["format_kwargs"]
    )


def _unused(name: str, names: Sequence[str]) -> str:
    while name in names:
        name += "_"
    return name
