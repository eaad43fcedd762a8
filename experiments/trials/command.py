"""`avmit trials`: its options and its summary."""

import math
import os
from pathlib import Path
from typing import Annotated

import typer

from avmit import AvmitError
from conversion.terminal import show
from conversion.wording import count_of, some
from experiments.trials.bids_events import PARTICIPANTS
from experiments.trials.counts import counted
from experiments.trials.design import Design
from experiments.trials.formats import Format, Layout, list_files
from experiments.trials.lists import make_trials
from experiments.trials.stimulus_table import dataset_folder, read_stock, stimulus_folder
from experiments.trials.write import write_lists


def trials(
    stimuli: Annotated[Path, typer.Option(metavar="DIR", help="What `avmit stimuli` has written.")],
    runs: Annotated[int, typer.Option(min=1, metavar="R", help="Runs of each subject.")],
    per_run: Annotated[int, typer.Option(min=1, metavar="N", help="Trials of a run.")],
    subjects: Annotated[int, typer.Option(min=1, metavar="S", help="Number of subjects.")],
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, metavar="K", help="Of the draw.")] = 0,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            "--conditions",
            help="Only this condition of stimuli.tsv; may be repeated.",
        ),
    ] = None,
    no_repeat_class: Annotated[
        bool, typer.Option("--no-repeat-class", help="Show no class twice in a row.")
    ] = False,
    repeat_clips: Annotated[
        bool, typer.Option("--repeat-clips", help="Show a subject clips again once all were seen.")
    ] = False,
    format: Annotated[
        Format, typer.Option(help="BIDS events, PsychoPy's CSV or Excel, or jsPsych's JSON.")
    ] = "bids",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where lists go; BIDS events by default to --stimuli."),
    ] = None,
    task: Annotated[str, typer.Option(help="The task's name in BIDS: letters and digits.")] = (
        "avmit"
    ),
    pause: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Before each stimulus, as planned.")
    ] = 1.0,
) -> None:
    """Deal stimuli out into balanced lists of trials, for BIDS, PsychoPy or jsPsych.

    In each run, each class and each condition comes equally often; over all subjects, the clips of
    a class do, to within one. The same options and seed give the same bytes.

    Example: avmit trials --stimuli study --runs 4 --per-run 48 --subjects 20 --seed 1
    """
    if not (task.isascii() and task.isalnum()):
        raise AvmitError(f"--task {task}: BIDS takes letters and digits only, such as avmit")
    if not math.isfinite(pause):
        raise AvmitError(f"--pause {pause}: give seconds, such as 1")
    if out is None and format != "bids":
        raise AvmitError(f"--format {format} needs --out DIR, where the lists go")
    folder = stimulus_folder(stimuli)
    out = out or dataset_folder(stimuli)
    stock = read_stock(stimuli, condition or ())
    design = Design(runs, per_run, subjects, seed, no_repeat_class, repeat_clips)
    dealt = make_trials(stock, design)
    media = Path(os.path.relpath(folder.resolve(), out.resolve())).as_posix()
    written = write_lists(out, list_files(dealt, format, Layout(task, pause, media)))
    show(*counted(dealt, design))
    if stock.left_out:
        show(f"clips left out, which lack one of the conditions: {stock.left_out:,}")
    if stock.absent:
        show(f"stimuli without a file in {folder}: {stock.absent:,}")
    if written.unlisted:
        show(f"{out / PARTICIPANTS}, which stays as it is, lacks {some(written.unlisted)}")
    show(f"{out}: {count_of(subjects * runs, 'list')}{'' if written.new else ' (unchanged)'}")
