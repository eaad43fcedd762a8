"""Clips to be dealt out: their classes, their sources, and a random order, the same anywhere."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from avmit import AvmitError
from conversion.wording import printable
from experiments.feeding.batches.order import LARGEST, shuffled
from experiments.feeding.rows.columns import Numbers


@dataclass(frozen=True)
class Clips:
    """Clips by the numbers of their class and of their source, and the random order of either.

    `place` (clips,) and `turn` (sources,) say where in that order each one stands.
    """

    label: Numbers
    source: Numbers
    place: Numbers
    turn: Numbers
    classes: int

    def counts(self) -> Numbers:
        """Return how many clips each class has."""
        return np.bincount(self.label, minlength=self.classes)


def by_name(names: pa.ChunkedArray, rows: Numbers) -> Numbers:
    """Return the rows in the order of their videos' names, so that theirs does not matter.

    Raises:
        AvmitError: two are of one video.
    """
    chosen = names.take(pa.array(rows)).combine_chunks()
    order = pc.sort_indices(chosen).to_numpy()
    texts = chosen.take(pa.array(order))
    if len(texts) > 1:
        twice = pc.equal(texts[1:], texts[:-1]).to_numpy(zero_copy_only=False)
        if twice.any():
            name = printable(texts[int(np.argmax(twice))].as_py())
            raise AvmitError(f"'{name}' is in two rows, and splits are of videos: keep one of them")
    sorted_rows: Numbers = rows[order]
    return sorted_rows


def clips_of(labels: Numbers, sources: npt.NDArray[np.object_], classes: int, seed: int) -> Clips:
    """Make clips, given in the order of their names, of the classes and the sources' names.

    The words of the random order are those of an epoch that no training comes to.
    """
    known, numbers = np.unique(sources, return_inverse=True)
    return Clips(
        labels,
        numbers.astype(np.int64).reshape(-1),
        _places(shuffled(len(labels), seed, LARGEST, 0)),
        _places(shuffled(len(known), seed, LARGEST, 1)),
        classes,
    )


def _places(order: Numbers) -> Numbers:
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places
