"""The commands that this package has."""

from conversion.lazy import Lazy

COMMANDS: dict[str, Lazy] = {
    "silent": Lazy(
        "experiments.silent.command:silent",
        "List the videos without sound, by audio embeddings that are those of digital silence.",
    ),
    "features": Lazy(
        "experiments.features.command:features",
        "Write embeddings as one dense matrix for each modality, with the videos' names and "
        "labels.",
    ),
    "stimuli": Lazy(
        "experiments.stimuli.command:stimuli",
        "Make the test clips into stimuli for experiments with people, with tables of what they "
        "are.",
    ),
    "trials": Lazy(
        "experiments.trials.command:trials",
        "Deal stimuli out into balanced lists of trials, for BIDS, PsychoPy or jsPsych.",
    ),
    "recognise": Lazy(
        "experiments.recognise.command:recognise",
        "Recognise the test videos with the paper's networks, the authors' or trained anew.",
    ),
    "show": Lazy(
        "experiments.show.command:show_video",
        "Show everything known of one video: ratings, labels, source, rows in each config, sound.",
    ),
    "report": Lazy(
        "experiments.report.command:report",
        "Write a page of pictures of what is in a package, and the pictures as PNG files.",
    ),
}
