"""Which audio goes with which frames, a pure function of (seed, epoch, number of the pair)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from experiments.feeding.batches.order import LARGEST, shuffled, words
from experiments.feeding.rows.columns import Numbers
from experiments.pairs.members import Members

_AUDIO, _VISUAL, _CLASSES, _DISTANCE, _OFFSETS = (LARGEST - part for part in range(5))
"""Parts of an epoch whose words are drawn from; the first ones are of batches and streams."""


class Pairs(NamedTuple):
    """Pairs of the audio of one row and the frames of another."""

    audio: Numbers
    visual: Numbers
    congruent: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Wanted:
    """How many pairs an epoch has, how many of them congruent, and whether of a video itself."""

    length: int
    congruent: int
    itself: bool


class Drawn:
    """An epoch's pairs by their number, from 0 to `length` - 1, drawn as they are asked for.

    The classes take turns with their audio. The first pairs are congruent; batches come in another
    order. In one round of turns each class also gives frames once; from round to round incongruent
    pairs are of classes at another distance, so that each class meets every other one. Within a
    class videos take turns, in one random order with their audio and in another with the frames of
    incongruent pairs; the frames of a congruent pair are those of any other video, each as likely.
    """

    def __init__(self, members: Members, wanted: Wanted, seed: int, epoch: int):
        count = len(members.classes)
        self._wanted = wanted
        self._classes = shuffled(count, seed, epoch, _CLASSES)
        self._first = int(words(1, seed, epoch, _DISTANCE)[0]) % max(count - 1, 1)
        self._offsets = words(wanted.congruent, seed, epoch, _OFFSETS)
        rows = shuffled(len(members.label), seed, epoch, _AUDIO)
        self._audio = _Turns(rows[members.audible[rows]], members)
        self._visual = _Turns(shuffled(len(members.label), seed, epoch, _VISUAL), members)
        self._label = members.label

    def pairs(self, numbers: Numbers) -> Pairs:
        """Return these pairs."""
        count = len(self._classes)
        turn, place = numbers // count, numbers % count
        audio = self._audio.take(self._classes[place], turn)
        congruent = numbers < self._wanted.congruent
        distance = 1 + (self._first + turn) % max(count - 1, 1)
        visual = self._visual.take(self._classes[(place + distance) % count], turn)
        visual[congruent] = self._others(audio[congruent], numbers[congruent])
        return Pairs(audio, visual, congruent)

    def _others(self, rows: Numbers, numbers: Numbers) -> Numbers:
        """Return, for these rows, others of their classes, or any where it may be themselves."""
        label = self._label[rows]
        least = 0 if self._wanted.itself else 1
        choices = (self._visual.counts[label] - least).astype(np.uint64)
        offset = least + (self._offsets[numbers] % choices).astype(np.int64)
        return self._visual.take(label, self._visual.turn[rows] + offset)


class _Turns:
    """Rows in an order of each class's own, gone through again and again."""

    def __init__(self, rows: Numbers, members: Members):
        order = np.argsort(members.label[rows], kind="stable")
        self._rows = rows[order]
        self.counts = np.bincount(members.label[rows], minlength=len(members.classes))
        """How many rows each class has."""
        self._starts = np.cumsum(self.counts) - self.counts
        self.turn = np.full(len(members.label), -1)
        """When each row comes in its class, from 0."""
        self.turn[self._rows] = np.arange(len(rows)) - self._starts[members.label[self._rows]]

    def take(self, label: Numbers, turn: Numbers) -> Numbers:
        """Return the row that comes in this class at this turn."""
        rows: Numbers = self._rows[self._starts[label] + turn % self.counts[label]]
        return rows
