"""Choosing rows by their ratings, labels and other small columns: `avmit.select`."""

import os
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc

from avmit import AvmitError
from experiments.choices.name_list import read_names
from experiments.choices.named import Missing, heard_of, of_choice
from experiments.choices.paper import Choice, read_choice
from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import NOT_THERE
from experiments.feeding.rows.part import parts_of
from experiments.feeding.tables import conditions
from experiments.feeding.tables.conditions import Mask
from experiments.feeding.tables.joined import Joined
from experiments.feeding.tables.labels import Classes, LabelColumn, label_column, named_classes
from experiments.feeding.tables.relabel import check_place, relabelled, with_format_of


def select(
    source: Any,
    *,
    min_r3: int | None = None,
    majority: int | None = None,
    labels: str | int | Sequence[str | int] | None = None,
    classes: Classes | None = None,
    choice: Choice | None = None,
    choice_from: str | os.PathLike[str] | None = None,
    missing: Missing = "error",
    has_audio: bool | None = None,
    silent: str | os.PathLike[str] | None = None,
    where: pc.Expression | None = None,
    relabel: bool = False,
) -> Any:
    """Choose the rows for which all that is asked for holds, without reading embeddings.

    Args:
        source: a `Dataset` of `avmit.load` or `load_dataset`, or what `avmit.join` returned.
        min_r3: at least so many ratings say 3, that the audiovisual action is there and prominent.
        majority: more than half of a video's ratings, of which there are three to seven, are this
            value: 1, 2 or 3.
        labels: the AVMIT classes, by name or by their number in `label`; one can be given alone.
        classes: `test16`, the 16 classes of the test set.
        choice: `paper-train` or `paper-validation`, the videos that the authors' recognisers were
            trained and validated on: 410 and 46 of each of the 16 classes.
        choice_from: the folder that has the authors' AVMIT_train.csv and AVMIT_validation.csv, the
            CSV itself, or the http(s) address of either; None for the authors' repository, from
            which it is fetched once.
        missing: where the rows lack videos of the choice: an `error`, or `skip` them.
        has_audio: whether the video has an audio stream.
        silent: the file in which `avmit silent` listed the videos without sound, for configs that
            do not tell: those in it have none, and others have, unless `has_audio` is there and
            says otherwise.
        where: an expression of `pyarrow.compute` over the small columns, such as
            `pc.field("MIT_label") == "barking"`. A row for which it is null is not chosen.
        relabel: number the classes asked for, those of a choice too, from 0, in the order of their
            names: column `label` is then a ClassLabel of these alone.

    Returns:
        The chosen rows in their order, of the kind of `source`: a `Dataset`, or joined rows.

    Raises:
        AvmitError: no row is left, which an empty dataset would say too late; a class is unknown; a
            column that is needed is not there; a choice's CSV cannot be read, or names videos that
            the rows lack; an option is out of its range.
    """
    parts = parts_of(source)
    if not isinstance(source, (datasets.Dataset, Joined)):
        raise AvmitError(f"nothing can be selected from a {type(source).__name__}")
    asked: list[tuple[str, Mask]] = []
    if min_r3 is not None:
        asked.append((f"min_r3={min_r3}", conditions.enough(parts, min_r3)))
    if majority is not None:
        asked.append((f"majority={majority}", conditions.majority(parts, majority)))
    if choice is not None:
        chosen_videos = of_choice(parts, read_choice(choice, choice_from), missing)
        asked.append((f'choice="{choice}"', chosen_videos))
        if relabel and labels is None and classes is None:
            classes = "test16"
    elif choice_from is not None:
        raise AvmitError('choice_from= says where choice="paper-train" comes from: name a choice')
    if has_audio is not None:
        heard = heard_of(parts, has_audio, None if silent is None else read_names(silent))
        asked.append((f"has_audio={has_audio}", heard))
    elif silent is not None:
        raise AvmitError("silent= says which videos have no audio: pass has_audio=True or False")
    if where is not None:
        asked.append(("where", conditions.computed(parts, where)))
    label = _label(parts, labels, classes, relabel)
    if label is not None:
        chosen = list(named_classes(classes)) if classes is not None else label.chosen(labels)
        numbers = label.renumbered(chosen)
        of_rows = np.append(numbers, NOT_THERE)[label.part.at(np.arange(len(label.part)))]
        said = "labels" if classes is None else f'classes="{classes}"'
        asked.append((said, of_rows >= 0))
    if not asked:
        return source
    rows = np.flatnonzero(np.all([mask for _, mask in asked], axis=0))
    if not len(rows):
        counted = ", ".join(f"{said} ({int(mask.sum()):,})" for said, mask in asked)
        raise AvmitError(f"none of {len(parts[0]):,} rows passes: {counted}")
    if label is None or not relabel:
        return source.select(rows)
    anew = relabelled(label, numbers, chosen)
    if isinstance(source, Joined):
        parts = tuple(anew if part is label.part else part for part in parts)
        return Joined(parts, source.report).select(rows)
    return with_format_of(anew.dataset.select(anew.at(rows)), source)


def _label(parts: Sequence[Part], labels: Any, classes: Any, relabel: bool) -> LabelColumn | None:
    """Return the column that labels= or classes= ask for; None if neither does."""
    if labels is not None and classes is not None:
        raise AvmitError("labels= and classes= both say which classes: leave one out")
    if labels is None and classes is None:
        if relabel:
            raise AvmitError(
                'relabel=True numbers the classes that labels= or classes="test16" names: give one'
            )
        return None
    if classes is not None:
        named_classes(classes)
    label = label_column(parts, "labels=" if classes is None else "classes=")
    if relabel:
        check_place(label, parts)
    return label
