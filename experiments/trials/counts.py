"""What was dealt, counted from the lists themselves."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise

from conversion.wording import count_of
from experiments.trials.design import Design
from experiments.trials.lists import Trial


def counted(trials: Sequence[Trial], design: Design) -> list[str]:
    """Say how often classes, conditions and clips come, after looking whether they do.

    What the design promises is asserted of the lists, whoever made them.
    """
    runs: dict[tuple[int, int], list[Trial]] = {}
    for trial in trials:
        runs.setdefault((trial.subject, trial.run), []).append(trial)
    labels = _span(_of_each(runs.values(), lambda trial: trial.stimulus.label))
    conditions = _span(_of_each(runs.values(), lambda trial: trial.stimulus.condition))
    both = _of_each(runs.values(), lambda trial: (trial.stimulus.label, trial.stimulus.condition))
    clips = Counter((trial.stimulus.label, trial.stimulus.clip) for trial in trials)
    stimuli = Counter(trial.stimulus.stimulus_id for trial in trials)
    by_one = Counter((trial.subject, trial.stimulus.clip) for trial in trials)
    in_a_row = sum(
        one.stimulus.label == other.stimulus.label
        for run in runs.values()
        for one, other in pairwise(run)
    )
    assert len(runs) == design.runs * design.subjects
    assert {len(run) for run in runs.values()} == {design.per_run}
    assert design.repeat_clips or max(by_one.values()) == 1
    assert not (design.no_repeat_class and in_a_row)
    return [
        f"{count_of(design.subjects, 'subject')}, {count_of(design.runs, 'run')} of "
        f"{count_of(design.per_run, 'trial')}: {count_of(len(trials), 'trial')}",
        f"in each run: a class {labels}, a condition {conditions}, "
        f"a class under a condition {_span(both)}",
        f"over all: a clip {_span(clips.values())}, a stimulus {_span(stimuli.values())}, "
        f"{count_of(len(clips), 'clip')}; a class twice in a row: {_times(in_a_row)}",
        f"of one subject: a clip {_times(max(by_one.values()))} at most",
    ]


def _of_each(runs: Iterable[Sequence[Trial]], kind: Callable[[Trial], Hashable]) -> list[int]:
    """Return how often each kind that comes in a run comes in it, of all runs."""
    return [count for run in runs for count in Counter(map(kind, run)).values()]


def _span(counts: Iterable[int]) -> str:
    different = sorted(set(counts))
    few, many = different[0], different[-1]
    return _times(many) if few == many else f"{few:,} to {_times(many)}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
