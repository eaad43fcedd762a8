"""Rows of different lengths put into one array: padded, or one after the other."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.wording import printable
from experiments.feeding.batches.formats import Formatter
from experiments.feeding.batches.memory import aligned
from experiments.feeding.batches.options import BatchOptions, Layout, OnLong
from experiments.feeding.rows import Taken
from experiments.feeding.rows.columns import Matrix, Numbers

Mask = npt.NDArray[np.bool_]
New = Callable[[tuple[int, ...]], Matrix]
"""Makes an array of this shape to be filled."""


def padded(
    arrays: Sequence[Matrix],
    width: int,
    timesteps: int | None,
    on_long: OnLong,
    said: Callable[[int], str],
    new: New = aligned,
) -> tuple[Matrix, Numbers]:
    """Copy B arrays (T, `width`) into one of (B, `timesteps`, `width`), zero after each one's end.

    Args:
        arrays: of the rows of the batch.
        width: the width of each.
        timesteps: how many each gets; None for as many as the longest has.
        on_long: whether an array that is longer is an error or cut off at its end.
        said: says in an error which row it is.
        new: makes the array.

    Returns:
        The array, and the lengths (B,), int64, as they are in it.

    Raises:
        AvmitError: an array is longer than `timesteps`, and that is an error.
    """
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    longest = int(lengths.max(initial=0))
    steps = longest if timesteps is None else timesteps
    if longest > steps:
        if on_long == "error":
            row = int(np.argmax(lengths > steps))
            raise AvmitError(
                f"{said(row)} has {lengths[row]} timesteps, more than timesteps={steps}: raise "
                'that, or pass on_long="truncate"'
            )
        arrays = [array[:steps] for array in arrays]
        lengths = np.minimum(lengths, steps)
    zeros = np.zeros((steps, width), np.float32)
    pieces = []
    for array, length in zip(arrays, lengths.tolist(), strict=True):
        pieces.append(array)
        if length < steps:
            pieces.append(zeros[length:])
    out = new((len(arrays) * steps, width))
    # One call for the batch: NumPy's own of each row would take as long again.
    np.concatenate(pieces, out=out)
    return out.reshape(len(arrays), steps, width), lengths


def mask(lengths: Numbers, timesteps: int) -> Mask:
    """Return (B, `timesteps`) booleans, true where a row has a timestep and false where padding."""
    marks: Mask = np.arange(timesteps) < lengths[:, None]
    return marks


def jagged(arrays: Sequence[Matrix], width: int, new: New = aligned) -> tuple[Matrix, Numbers]:
    """Copy B arrays (T, `width`) one after the other.

    Returns:
        values (sum of T, `width`) and offsets (B + 1,), int64: row i is
        `values[offsets[i]:offsets[i + 1]]`.
    """
    offsets = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, arrays), np.int64, len(arrays)), out=offsets[1:])
    values = new((int(offsets[-1]), width))
    if arrays:
        np.concatenate(arrays, out=values)
    return values, offsets


def entries(embeddings: Sequence[str], columns: Sequence[str], layout: Layout) -> list[str]:
    """Return the names that stand in a batch.

    Raises:
        AvmitError: two things would have one name.
    """
    ends = ("", "_lengths", "_mask") if layout == "padded" else ("", "_values", "_offsets")
    names = [*(f"{name}{end}" for name in embeddings for end in ends), *columns]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise AvmitError(
            f"a batch would have two entries '{printable(twice[0])}', one that comes with "
            "embeddings and a column: give the column another name with rename_column"
        )
    return names


def put_together(
    taken: Taken,
    widths: Mapping[str, int],
    timesteps: Mapping[str, int | None],
    options: BatchOptions,
    formatter: Formatter,
    said: Callable[[str, int], str],
    new: New = aligned,
) -> dict[str, Any]:
    """Make a batch of rows.

    Args:
        taken: the rows.
        widths: the width of each embedding column.
        timesteps: how many each row of it gets; None for as many as the longest has.
        options: the layout and what is done with longer rows.
        formatter: makes the tensors.
        said: says in an error of an embedding column's row which it is.
        new: makes the arrays of embeddings.

    Returns:
        Padded: for each embedding column its name, with (B, timesteps, D), and that name with
        `_lengths`, (B,) int64, and `_mask`, (B, timesteps), true where a timestep is. Jagged: what
        the format has for that. And the other columns by their names.

    Raises:
        AvmitError: a row has more timesteps than there may be.
    """
    batch: dict[str, Any] = {}
    for name, arrays in taken.embeddings.items():
        if options.layout == "jagged":
            batch |= formatter.jagged(name, *jagged(arrays, widths[name], new))
            continue
        out, lengths = padded(
            arrays, widths[name], timesteps[name], options.on_long, partial(said, name), new
        )
        marks = mask(lengths, out.shape[1])
        batch |= formatter.batch({name: out, f"{name}_lengths": lengths, f"{name}_mask": marks})
    return batch | formatter.batch(dict(taken.values))
