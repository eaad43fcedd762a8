"""Balanced lists, of many sizes, and designs that cannot be had."""

import math
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avmit import AvmitError
from experiments.trials.counts import counted
from experiments.trials.design import Design, check_possible
from experiments.trials.lists import make_trials
from experiments.trials.sequence import class_sequence
from experiments.trials.stimulus_table import Shown, Stock


def stock(sizes: list[int], conditions: int) -> Stock:
    names = [f"condition{number}" for number in range(conditions)]
    clips = {
        f"class{k}": [
            {
                name: Shown(
                    f"{k}-{n}-{name}", "", "video", f"class{k}", name, f"{k}-{n}", 3, True, ""
                )
                for name in names
            }
            for n in range(size)
        ]
        for k, size in enumerate(sizes)
    }
    return Stock(names, clips, 0)


def even(counts: Mapping[Any, int], within: int = 1) -> bool:
    return max(counts.values()) - min(counts.values()) <= within


@st.composite
def designs(draw: st.DrawFn) -> tuple[list[int], int, Design]:
    classes, conditions = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    sizes = draw(st.lists(st.integers(1, 12), min_size=classes, max_size=classes))
    per_run = math.lcm(classes, conditions) * draw(st.integers(1, 3))
    design = Design(
        runs=draw(st.integers(1, 4)),
        per_run=per_run,
        subjects=draw(st.integers(1, 7)),
        seed=draw(st.integers(0, 2**63 - 1)),
        no_repeat_class=classes > 1 and draw(st.booleans()),
        repeat_clips=True,
    )
    return sizes, conditions, design


@settings(max_examples=60)
@given(designs())
def test_whatever_the_sizes_lists_are_balanced(made: tuple[list[int], int, Design]) -> None:
    sizes, conditions, design = made
    trials = make_trials(stock(sizes, conditions), design)
    assert len(trials) == design.trials
    labels = [f"class{k}" for k in range(len(sizes))]
    fewest = min(sizes)
    for subject in range(1, design.subjects + 1):
        of_subject = [trial for trial in trials if trial.subject == subject]
        for run in range(1, design.runs + 1):
            shown = [trial.stimulus for trial in of_subject if trial.run == run]
            assert [t.trial for t in of_subject if t.run == run] == [*range(1, design.per_run + 1)]
            assert Counter(s.label for s in shown) == dict.fromkeys(
                labels, design.per_run // len(sizes)
            )
            by_condition = Counter(s.condition for s in shown)
            assert [*by_condition.values()] == [design.per_run // conditions] * conditions
            both = Counter({(a, f"condition{b}"): 0 for a in labels for b in range(conditions)})
            both.update((s.label, s.condition) for s in shown)
            assert even(both)
            if design.no_repeat_class:
                assert all(a.label != b.label for a, b in pairwise(shown))
        # None again before all of its class have come.
        for label, size in zip(labels, sizes, strict=True):
            clips = Counter({f"{label[5:]}-{n}": 0 for n in range(size)})
            clips.update(t.stimulus.clip for t in of_subject if t.stimulus.label == label)
            assert even(clips)
    for label, size in zip(labels, sizes, strict=True):
        clips = Counter({f"{label[5:]}-{n}": 0 for n in range(size)})
        clips.update(t.stimulus.clip for t in trials if t.stimulus.label == label)
        assert even(clips)
    if design.runs * design.per_run // len(sizes) <= fewest:
        assert max(Counter((t.subject, t.stimulus.clip) for t in trials).values()) == 1
    assert len(counted(trials, design)) == 4


def test_a_list_is_a_function_of_design_and_seed() -> None:
    clips = stock([6, 6, 6], 2)
    design = Design(2, 12, 5, seed=3, no_repeat_class=True, repeat_clips=True)
    assert make_trials(clips, design) == make_trials(clips, design)
    other = Design(2, 12, 5, seed=4, no_repeat_class=True, repeat_clips=True)
    assert make_trials(clips, design) != make_trials(clips, other)
    # More subjects, and those that there were see the same.
    more = Design(2, 12, 9, seed=3, no_repeat_class=True, repeat_clips=True)
    assert make_trials(clips, more)[: 5 * 24] == make_trials(clips, design)


def test_a_clip_comes_in_each_run_and_under_each_condition() -> None:
    trials = make_trials(stock([12] * 4, 3), Design(3, 12, 60, seed=1))
    runs = Counter((t.stimulus.clip, t.run) for t in trials)
    assert len(runs) == 48 * 3  # of 60 subjects, each clip is seen by some in each run
    assert even(Counter(t.stimulus.stimulus_id for t in trials), within=2)


@given(st.integers(2, 9), st.integers(1, 9), st.integers(0, 2**63 - 1), st.integers(0, 99))
def test_no_class_twice_in_a_row(classes: int, each: int, seed: int, run: int) -> None:
    order = class_sequence(classes, each, seed, run, no_repeat=True)
    assert Counter(order) == dict.fromkeys(range(classes), each)
    assert all(a != b for a, b in pairwise(order))


def test_orders_of_classes_are_all_as_likely() -> None:
    # Two classes have but two orders; three classes once, six.
    both = Counter(class_sequence(2, 3, seed, 1, True)[0] for seed in range(400))
    assert 150 < both[0] < 250
    orders = Counter(tuple(class_sequence(3, 1, seed, 1, True)) for seed in range(1200))
    assert len(orders) == 6 and min(orders.values()) > 140 and max(orders.values()) < 260


@pytest.mark.parametrize(
    ("design", "sizes", "conditions", "said"),
    [
        (
            Design(1, 50, 1),
            [60] * 16,
            3,
            "--per-run 50: 16 classes and 3 conditions cannot come equally often: take --per-run "
            "48 or 96",
        ),
        (
            Design(1, 5, 1),
            [60] * 16,
            1,
            "--per-run 5: 16 classes and 1 condition cannot come equally often: take --per-run 16",
        ),
        (
            Design(10, 160, 1),
            [60] * 16,
            1,
            "10 runs of 160 trials show each subject 100 clips of a class, and 'class0' has 60: "
            "take --runs 6 or --per-run 96 or --repeat-clips",
        ),
        (
            Design(1, 8, 1),
            [3, 4],
            1,
            "1 run of 8 trials shows each subject 4 clips of a class, and 'class0' has 3: "
            "take --per-run 6 or --repeat-clips",
        ),
        (
            Design(2, 1, 1),
            [1],
            1,
            "2 runs of 1 trial show each subject 2 clips of a class, and 'class0' has 1: "
            "take --runs 1 or --repeat-clips",
        ),
        (
            Design(3, 4, 1),
            [1, 2],
            1,
            "3 runs of 4 trials show each subject 6 clips of a class, and 'class0' has 1: "
            "take --repeat-clips",
        ),
        (
            Design(1, 4, 1, no_repeat_class=True),
            [9],
            1,
            "--no-repeat-class: there is one class, 'class0': leave the option out, take --per-run "
            "1, or stimuli of two classes or more",
        ),
    ],
)
def test_what_cannot_be_had(design: Design, sizes: list[int], conditions: int, said: str) -> None:
    with pytest.raises(AvmitError) as error:
        make_trials(stock(sizes, conditions), design)
    assert str(error.value) == said


@given(designs())
def test_the_nearest_that_is_named_can_be_had(made: tuple[list[int], int, Design]) -> None:
    sizes, conditions, design = made
    strict = Design(design.runs, design.per_run + 1, design.subjects)
    clips = {f"class{k}": size for k, size in enumerate(sizes)}
    for _ in range(3):
        try:
            check_possible(strict, clips, conditions)
            return
        except AvmitError as error:
            way = str(error).rpartition("take ")[2].split(" or ")[0].split()
            if way == ["--repeat-clips"]:
                strict = Design(strict.runs, strict.per_run, 1, repeat_clips=True)
            elif way[0] == "--runs":
                strict = Design(int(way[1]), strict.per_run, 1, repeat_clips=strict.repeat_clips)
            else:
                strict = Design(strict.runs, int(way[1]), 1, repeat_clips=strict.repeat_clips)
    check_possible(strict, clips, conditions)
