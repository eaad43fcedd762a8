"""Lists as BIDS events, to be filled in with what happened."""

from collections.abc import Sequence

from experiments.bids import json_bytes, tsv
from experiments.trials.lists import Trial

PARTICIPANTS = "participants.tsv"
_TASK = "Stimuli of Audiovisual Moments in Time are shown one after another"

_COLUMNS = {
    "onset": {
        "Description": "When the stimulus begins, from the start of the run: as planned, until "
        "what was measured is put in its place",
        "Units": "s",
    },
    "duration": {"Description": "Length of the stimulus", "Units": "s"},
    "trial_type": {"Description": "The condition, as in stimuli.tsv"},
    "stim_id": {"Description": "The stimulus: stimulus_id in stimuli/stimuli.tsv"},
    "stim_file": {"Description": "Its file, below the folder stimuli"},
    "label": {"Description": "AVMIT label of the clip"},
    "tfrecord_filename": {"Description": "The clip in each of AVMIT's configs"},
    "response": {"Description": "What was answered; n/a until the run was done"},
    "response_time": {
        "Description": "From the stimulus' onset to the answer; n/a until the run was done",
        "Units": "s",
    },
}


def bids_files(
    runs: Sequence[tuple[str, str, Sequence[Trial]]], task: str, pause: float
) -> dict[str, bytes]:
    """Return the runs' events, what their columns mean, and the table of participants.

    A run is (its subject's label, its own, its trials), such as (`sub-01`, `run-01`, ...).
    """
    files = {
        f"{subject}/beh/{subject}_task-{task}_{run}_events.tsv": _events(trials, pause)
        for subject, run, trials in runs
    }
    described = {"TaskName": task, "TaskDescription": _TASK, **_COLUMNS}
    files[f"task-{task}_events.json"] = json_bytes(described)
    subjects = dict.fromkeys(subject for subject, _, _ in runs)
    rows = [{"participant_id": subject} for subject in subjects]
    return files | {PARTICIPANTS: tsv(["participant_id"], rows)}


def _events(trials: Sequence[Trial], pause: float) -> bytes:
    rows = []
    onset = pause
    for trial in trials:
        stimulus = trial.stimulus
        rows.append(
            {
                "onset": round(onset, 6),
                "duration": stimulus.duration,
                "trial_type": stimulus.condition,
                "stim_id": stimulus.stimulus_id,
                "stim_file": stimulus.filename,
                "label": stimulus.label,
                "tfrecord_filename": stimulus.tfrecord_filename,
                "response": None,
                "response_time": None,
            }
        )
        onset += stimulus.duration + pause
    return tsv(list(_COLUMNS), rows)
