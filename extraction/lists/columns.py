"""What the columns of a list are: text, or numbers where every value is one."""

import re
from collections.abc import Sequence
from typing import Any

import datasets
import pandas as pd

from conversion.package.schema import class_names

Column = tuple[Any, list[Any]]
"""What `datasets` takes a column for, and its values; labels by their names."""

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_INT64 = range(-(2**63), 2**63)
_EXACT = 2**53
"""Up to here a float64 holds every whole number."""


def typed(texts: "pd.Series[str]") -> Column:
    """Return a column as whole numbers (int64) or numbers (float64), if each value is one, or text.

    Numbers are as people write them: `007`, `+1`, `nan`, spaces and nothing at all are text, and so
    is a column with a number that would come out as another one.
    """
    codes, different = _different(texts)
    if all(_WHOLE.fullmatch(text) and int(text) in _INT64 for text in different):
        return datasets.Value("int64"), _dealt(codes, [int(text) for text in different])
    if all(_NUMBER.fullmatch(text) and _is_kept(text) for text in different):
        return datasets.Value("float64"), _dealt(codes, [float(text) for text in different])
    return datasets.Value("string"), _dealt(codes, different)


def labelled(texts: "pd.Series[str]") -> Column:
    """Return a column of labels as a ClassLabel of their sorted names."""
    codes, different = _different(texts)
    return datasets.ClassLabel(names=class_names(different)), _dealt(codes, different)


def _different(texts: "pd.Series[str]") -> tuple[Sequence[int], list[str]]:
    codes, different = pd.factorize(texts)
    return codes.tolist(), list(different)


def _dealt(codes: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """Return a row's value each; rows of equal ones share it, since there may be millions."""
    return [values[code] for code in codes]


def _is_kept(text: str) -> bool:
    """Tell whether a number is one of float64's, as far as its notation promises more."""
    number = float(text)
    if _WHOLE.fullmatch(text) or text.lstrip("-").isdigit():
        return abs(int(text)) <= _EXACT
    return abs(number) != float("inf")
