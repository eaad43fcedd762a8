"""Lists as the programs that show them read them, as files by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from experiments.trials.bids_events import bids_files
from experiments.trials.conditions_files import psychopy_csv, psychopy_xlsx
from experiments.trials.lists import Trial
from experiments.trials.timeline import jspsych_files

Format = Literal["bids", "psychopy", "xlsx", "jspsych"]


@dataclass(frozen=True)
class Layout:
    """What lists say beside the trials: the task's name, the seconds between clips, and `media`.

    `media` is the way from a list to the folder of stimuli, with `/` between names.
    """

    task: str
    pause: float
    media: str


@dataclass(frozen=True)
class Run:
    """A subject's run; `name` is such as `sub-01_run-02`, with as many digits as the most needs."""

    subject: str
    run: str
    trials: Sequence[Trial]

    @property
    def name(self) -> str:
        """How files of it begin."""
        return f"{self.subject}_{self.run}"


Writer = Callable[[Sequence[Run], Layout], dict[str, bytes]]

FORMATS: dict[Format, Writer] = {
    "bids": lambda runs, layout: bids_files(
        [(run.subject, run.run, run.trials) for run in runs], layout.task, layout.pause
    ),
    "psychopy": lambda runs, layout: {
        f"{run.name}.csv": psychopy_csv(run.trials, layout.media) for run in runs
    },
    "xlsx": lambda runs, layout: {
        f"{run.name}.xlsx": psychopy_xlsx(run.trials, layout.media) for run in runs
    },
    "jspsych": lambda runs, layout: jspsych_files(
        [(run.name, run.trials) for run in runs], layout.media
    ),
}


def list_files(trials: Sequence[Trial], form: Format, layout: Layout) -> dict[str, bytes]:
    """Return all files of a format, by name below the folder that they go to."""
    subjects = len(str(max(trial.subject for trial in trials)))
    most = len(str(max(trial.run for trial in trials)))
    runs = [
        Run(f"sub-{subject:0{max(2, subjects)}}", f"run-{run:0{max(2, most)}}", list(of_run))
        for (subject, run), of_run in groupby(trials, lambda trial: (trial.subject, trial.run))
    ]
    return FORMATS[form](runs, layout)
