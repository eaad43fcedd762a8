"""The numbers of an experiment, and whether they can be had."""

import math
from dataclasses import dataclass

from avmit import AvmitError
from conversion.wording import count_of


@dataclass(frozen=True)
class Design:
    """Runs of each of `subjects` people, trials a run, and what must hold of them."""

    runs: int
    per_run: int
    subjects: int
    seed: int = 0
    no_repeat_class: bool = False
    repeat_clips: bool = False

    @property
    def trials(self) -> int:
        """Count all trials of all subjects."""
        return self.runs * self.per_run * self.subjects


def check_possible(design: Design, clips: dict[str, int], conditions: int) -> None:
    """Check that a design can be had of so many clips of each class, under so many conditions.

    Raises:
        AvmitError: it cannot; the text names the nearest that can.
    """
    classes = len(clips)
    if design.no_repeat_class and classes == 1 and design.per_run > 1:
        raise AvmitError(
            f"--no-repeat-class: there is one class, '{next(iter(clips))}': leave the option out, "
            "take --per-run 1, or stimuli of two classes or more"
        )
    step = math.lcm(classes, conditions)
    if design.per_run % step:
        nearest = _around(design.per_run, step)
        raise AvmitError(
            f"--per-run {design.per_run}: {count_of(classes, 'class', 'classes')} and "
            f"{count_of(conditions, 'condition')} cannot come equally often: "
            f"take --per-run {nearest}"
        )
    label, fewest = min(clips.items(), key=lambda item: item[1])
    wanted = design.runs * design.per_run // classes
    if wanted > fewest and not design.repeat_clips:
        ways = []
        if runs := fewest // (design.per_run // classes):
            ways.append(f"--runs {runs}")
        if shorter := fewest // design.runs * classes // step * step:
            ways.append(f"--per-run {shorter}")
        ways.append("--repeat-clips")
        raise AvmitError(
            f"{count_of(design.runs, 'run')} of {count_of(design.per_run, 'trial')} show"
            f"{'s' if design.runs == 1 else ''} each subject {count_of(wanted, 'clip')} of a "
            f"class, and '{label}' has {fewest}: take {' or '.join(ways)}"
        )


def _around(number: int, step: int) -> str:
    below, above = number // step * step, -(-number // step) * step
    if not below:
        return str(above)
    first, second = sorted((below, above), key=lambda near: abs(near - number))
    return f"{first} or {second}"
