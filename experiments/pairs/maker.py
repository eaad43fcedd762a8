"""Makes any batch of pairs, from two views of the same rows."""

from typing import Any

from experiments.feeding.batches.collate import New, entries, put_together
from experiments.feeding.batches.formats import Formatter
from experiments.feeding.batches.maker import count_of, numbers_of
from experiments.feeding.batches.memory import aligned
from experiments.feeding.batches.options import BatchOptions
from experiments.feeding.rows import Rows, Taken
from experiments.pairs.drawing import Drawn, Wanted
from experiments.pairs.members import Members

CONGRUENT = "congruent"


class PairRows:
    """The rows that pairs are of: one view of their audio, and one of their frames."""

    def __init__(self, audio: Rows, visual: Rows, members: Members, wanted: Wanted):
        self.audio = audio
        self.visual = visual
        self.members = members
        self.wanted = wanted
        self.widths = {**audio.widths, **visual.widths}
        self.embeddings = (*audio.embeddings, *visual.embeddings)
        self.columns = (
            *(f"audio_{name}" for name in audio.columns),
            *(f"visual_{name}" for name in visual.columns),
            CONGRUENT,
        )

    def __len__(self) -> int:
        return self.wanted.length

    def __repr__(self) -> str:
        rows, classes = len(self.members.label), len(self.members.classes)
        return (
            f"{self.wanted.length} pairs, {self.wanted.congruent} of them congruent, of {rows} "
            f"rows of {classes} classes"
        )


class PairMaker:
    """The batches of any epoch of pairs, by (seed, epoch, position).

    Raises:
        AvmitError: two entries of a batch would have one name.
    """

    def __init__(self, rows: PairRows, options: BatchOptions):
        self.rows = rows
        self.options = options
        self.entries = entries(rows.embeddings, rows.columns, options.layout)
        """The names that stand in a batch."""
        self._timesteps = dict.fromkeys(rows.embeddings, options.timesteps)
        self._drawn: tuple[tuple[int, int], Drawn] | None = None

    def __len__(self) -> int:
        return count_of(len(self.rows), self.options)

    def make(
        self, seed: int, epoch: int, position: int, formatter: Formatter, new: New = aligned
    ) -> dict[str, Any]:
        """Make a batch.

        Raises:
            AvmitError: a row has more timesteps than there may be, or the files were replaced.
        """
        rows = self.rows
        numbers = numbers_of(len(rows), self.options, seed, epoch, position)
        pairs = self._of(seed, epoch).pairs(numbers)
        audio, visual = rows.audio.take(pairs.audio), rows.visual.take(pairs.visual)
        taken = Taken(
            {**audio.embeddings, **visual.embeddings},
            {
                **{f"audio_{name}": values for name, values in audio.values.items()},
                **{f"visual_{name}": values for name, values in visual.values.items()},
                CONGRUENT: pairs.congruent,
            },
        )

        def said(name: str, row: int) -> str:
            number = pairs.audio[row] if name in audio.embeddings else pairs.visual[row]
            return f"{name} of row {number}"

        return put_together(taken, rows.widths, self._timesteps, self.options, formatter, said, new)

    def _of(self, seed: int, epoch: int) -> Drawn:
        """Return the epoch; the last one is kept, since all its batches ask for it."""
        kept = self._drawn
        if kept is None or kept[0] != (seed, epoch):
            drawn = Drawn(self.rows.members, self.rows.wanted, seed, epoch)
            self._drawn = kept = (seed, epoch), drawn
        return kept[1]
