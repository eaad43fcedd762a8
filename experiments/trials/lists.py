"""Who sees which stimulus in which trial: balanced lists, a pure function of design and seed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.feeding.batches.order import shuffled
from experiments.trials.design import Design, check_possible
from experiments.trials.sequence import class_sequence
from experiments.trials.stimulus_table import Shown, Stock

_CLIPS, _ORDER, _PLACES = 0, 1, 2
"""Parts of a run's or a subject's words, for what is drawn of it."""
_CLASSES = 2**32
"""More than there are classes: how far apart the parts of one class are."""


@dataclass(frozen=True)
class Trial:
    """A stimulus for a subject; subject, run and trial are counted from 1."""

    subject: int
    run: int
    trial: int
    stimulus: Shown


def make_trials(stock: Stock, design: Design) -> list[Trial]:
    """Return all trials, subject by subject and run by run.

    In a run every class and every condition comes equally often, and every class under every
    condition so to within one. The clips of a class take turns in one random order, which goes on
    from subject to subject: a subject sees no clip again before all of its
    class were seen, and over all subjects a class's clips are seen equally often, to within one.
    Each clip gets the conditions under which it was seen the least.

    Raises:
        AvmitError: the design cannot be had.
    """
    labels = sorted(stock.clips)
    check_possible(
        design, {label: len(stock.clips[label]) for label in labels}, len(stock.conditions)
    )
    each = design.per_run // len(labels)
    turns = [
        [stock.clips[label][n] for n in shuffled(len(stock.clips[label]), design.seed, 0, place)]
        for place, label in enumerate(labels)
    ]
    seen = [_Seen(len(stock.conditions)) for _ in labels]
    windows: list[list[int]] = []
    trials: list[Trial] = []
    for number in range(design.subjects * design.runs):
        subject, run = divmod(number, design.runs)
        if run == 0:
            windows = [
                _window(len(turns[place]), each * design.runs, subject, design.seed, place)
                for place in range(len(labels))
            ]
        drawn = []
        for place in range(len(labels)):
            taken = windows[place][run * each : (run + 1) * each]
            counts = _counts(place + number, len(labels), design.per_run, len(stock.conditions))
            order = shuffled(each, design.seed, number + 1, 3 * place + _CLIPS)
            conditions = seen[place].assign(subject, taken, counts, order.tolist())
            stimuli = [
                turns[place][clip][stock.conditions[condition]]
                for clip, condition in zip(taken, conditions, strict=True)
            ]
            mixed = shuffled(each, design.seed, number + 1, 3 * place + _ORDER)
            drawn.append([stimuli[n] for n in mixed])
        classes = class_sequence(len(labels), each, design.seed, number + 1, design.no_repeat_class)
        trials += [
            Trial(subject + 1, run + 1, position, drawn[place].pop())
            for position, place in enumerate(classes, 1)
        ]
    return trials


def _window(clips: int, length: int, subject: int, seed: int, place: int) -> list[int]:
    """Return the turns of a class that a subject gets, in an order of the subject's own.

    Turns follow on those of the subject before. They are mixed so that a clip does not come in the
    same run for everybody, but not so far that one comes again before all have come.
    """
    window = []
    for part, start in enumerate(range(0, length, clips)):
        size = min(clips, length - start)
        own = 3 * (place + part * _CLASSES) + _PLACES
        window += [
            (subject * length + start + int(step)) % clips
            for step in shuffled(size, seed, subject + 1, own)
        ]
    return window


def _counts(turn: int, classes: int, per_run: int, conditions: int) -> list[int]:
    """Return how often a class comes under each condition in a run.

    What does not go up is dealt in turns, so that all conditions together come equally often.
    """
    whole, rest = divmod(per_run // classes, conditions)
    counts = [whole] * conditions
    for step in range(rest):
        counts[(turn * rest + step) % conditions] += 1
    return counts


class _Seen:
    """How often each clip of a class was seen under each condition, by all and by one subject."""

    def __init__(self, conditions: int):
        self._conditions = conditions
        self._by_all: Counter[tuple[int, int]] = Counter()
        self._by_one: Counter[tuple[int, int]] = Counter()
        self._subject = -1

    def assign(
        self, subject: int, clips: Sequence[int], counts: Sequence[int], order: Sequence[int]
    ) -> list[int]:
        """Return a condition for each clip, each condition as often as `counts` says.

        Two clips exchange theirs as long as that brings how often they were seen under each closer
        together, first for the subject, then for all.
        """
        if subject != self._subject:
            self._subject = subject
            self._by_one.clear()
        left = list(counts)
        given = [-1] * len(clips)
        for place in order:
            given[place] = min(
                (condition for condition in range(self._conditions) if left[condition]),
                key=lambda condition: (*self._cost(clips[place], condition), -left[condition]),
            )
            left[given[place]] -= 1
        while self._exchange(clips, given):
            pass
        for clip, condition in zip(clips, given, strict=True):
            self._by_all[clip, condition] += 1
            self._by_one[clip, condition] += 1
        return given

    def _cost(self, clip: int, condition: int) -> tuple[int, int]:
        return self._by_one[clip, condition], self._by_all[clip, condition]

    def _exchange(self, clips: Sequence[int], given: list[int]) -> bool:
        changed = False
        for one in range(len(clips)):
            for other in range(one + 1, len(clips)):
                first, second = given[one], given[other]
                if first == second:
                    continue
                now = self._sum(clips[one], first, clips[other], second)
                if self._sum(clips[one], second, clips[other], first) < now:
                    given[one], given[other] = second, first
                    changed = True
        return changed

    def _sum(self, clip: int, condition: int, other: int, others: int) -> tuple[int, int]:
        mine, by_all = self._cost(clip, condition)
        theirs, of_theirs = self._cost(other, others)
        return mine + theirs, by_all + of_theirs
