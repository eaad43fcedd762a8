"""Lists as jsPsych's timeline variables."""

from collections.abc import Sequence

from experiments.bids import json_bytes
from experiments.trials.columns import columns_of
from experiments.trials.lists import Trial


def jspsych_files(runs: Sequence[tuple[str, Sequence[Trial]]], media: str) -> dict[str, bytes]:
    """Return each run, by its name, as the array that `timeline_variables` takes."""
    return {
        f"{name}.json": json_bytes([columns_of(trial, media) for trial in trials])
        for name, trials in runs
    }
