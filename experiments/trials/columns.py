"""The columns of a list that say what is shown, whatever program reads it."""

from experiments.trials.lists import Trial


def columns_of(trial: Trial, media: str) -> dict[str, str | int | float]:
    """Return a trial by column; `movie` is its file as seen from the list.

    The names are those of Python variables, as PsychoPy wants them.
    """
    stimulus = trial.stimulus
    return {
        "trial": trial.trial,
        "stim_id": stimulus.stimulus_id,
        "stim_file": stimulus.filename,
        "movie": f"{media}/{stimulus.filename}",
        "stim_type": stimulus.type,
        "label": stimulus.label,
        "condition": stimulus.condition,
        "duration": stimulus.duration,
        "tfrecord_filename": stimulus.tfrecord_filename,
    }
