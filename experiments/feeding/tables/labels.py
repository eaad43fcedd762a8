"""Classes by their names: which column has them, and which rows are of some of them."""

import difflib
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avmit import TEST_CLASSES, AvmitError
from conversion.wording import printable, some
from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import Numbers

Classes = Literal["test16"]
CLASSES: dict[Classes, tuple[str, ...]] = {"test16": TEST_CLASSES}
_COLUMNS = ("label", "AVMIT_label")
"""Of the embedding configs, and of the configs of ratings."""


@dataclass(frozen=True)
class LabelColumn:
    """The column of a part that holds each row's class, as a number of a ClassLabel or a name."""

    part: Part
    name: str

    @property
    def _numbered(self) -> list[str] | None:
        feature = self.part.dataset.features[self.part.names[self.name]]
        return feature.names if isinstance(feature, datasets.ClassLabel) else None

    @cached_property
    def names(self) -> list[str]:
        """The names of all classes, also of those that no row is of."""
        if self._numbered is not None:
            return self._numbered
        there = self.part.column(self.name).unique().drop_null()
        return sorted(there.to_pylist())

    def chosen(self, labels: Any) -> list[str]:
        """Return the sorted names of classes that are given by name or number.

        Raises:
            AvmitError: there is no such class.
        """
        several = isinstance(labels, (Sequence, np.ndarray, set, frozenset))
        given = list(labels) if several and not isinstance(labels, str) else [labels]
        if not given:
            raise AvmitError("labels=[] are no classes: name one or more, or leave it out")
        return sorted({self._checked(one) for one in given})

    def _checked(self, label: Any) -> str:
        if isinstance(label, str):
            if label in self.names:
                return label
            spelled = {name.lower(): name for name in self.names}
            near = difflib.get_close_matches(label.lower(), spelled, 1)
            instead = (
                f"did you mean '{printable(spelled[near[0]])}'?"
                if near
                else f"there are: {some([printable(name) for name in self.names])}"
            )
            raise AvmitError(f"no class '{printable(label)}' in '{self.name}': {instead}")
        try:
            number = -1 if isinstance(label, bool) else operator.index(label)
        except TypeError:
            number = -1
        if self._numbered is None:
            raise AvmitError(f"'{self.name}' has names, and {label!r} is none: name the class")
        if not 0 <= number < len(self.names):
            raise AvmitError(
                f"no class {label!r} in '{self.name}', which counts them from 0 to "
                f"{len(self.names) - 1}"
            )
        return self.names[number]

    def renumbered(self, classes: Sequence[str]) -> Numbers:
        """Return the number in `classes`, or -1, of each row of the underlying table."""
        column = self.part.column(self.name)
        numbers: Numbers
        if self._numbered is None:
            found = pc.index_in(column, value_set=pa.array(classes, column.type))
            numbers = found.fill_null(-1).to_numpy().astype(np.int64)
            return numbers
        places = {name: place for place, name in enumerate(classes)}
        # The last one is for what is of no class: its number is missing, or there is none such.
        table = np.array([places.get(name, -1) for name in self.names] + [-1], np.int64)
        old = column.fill_null(-1).to_numpy()
        numbers = table[np.where((old >= 0) & (old < len(self.names)), old, -1)]
        return numbers


def label_column(parts: Sequence[Part], wanted_by: str) -> LabelColumn:
    """Return the column that has the classes: `label`, or else `AVMIT_label`.

    Raises:
        AvmitError: there is none.
    """
    for name in _COLUMNS:
        for part in parts:
            if name not in part.names:
                continue
            kind = part.column(name).type
            feature = part.dataset.features[part.names[name]]
            if isinstance(feature, datasets.ClassLabel) and feature.names:
                return LabelColumn(part, name)
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                return LabelColumn(part, name)
    there = ", ".join(printable(name) for part in parts for name in part.names)
    raise AvmitError(
        f"{wanted_by} needs a column 'label' or 'AVMIT_label' with the names of classes, which "
        f"these rows do not have ({there}): load it too, or join it with avmit.join"
    )


def named_classes(classes: Any) -> tuple[str, ...]:
    """Return the classes that a name such as `test16` stands for.

    Raises:
        AvmitError: it stands for none.
    """
    if isinstance(classes, str) and classes in CLASSES:
        return CLASSES[classes]
    known = ", ".join(f'"{name}"' for name in CLASSES)
    raise AvmitError(
        f"classes={classes!r}: there is {known}, those of the test set; name others in labels="
    )
