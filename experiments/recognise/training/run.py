"""A whole run: rows, network, training, test, and what is written down of it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import avmit
from experiments.recognise.checkpoints.train_yaml import PAIRED
from experiments.recognise.evaluation import Evaluation
from experiments.recognise.figures import can_draw, draw_curves
from experiments.recognise.paper import Cell, paper_cell
from experiments.recognise.rows import widths_of
from experiments.recognise.runs.history import Epoch
from experiments.recognise.runs.run_folder import CURVES, RunFolder
from experiments.recognise.runs.settings import Settings
from experiments.recognise.training.data import Chosen, Data, Recognition
from experiments.recognise.training.loop import Trained, train
from experiments.recognise.training.pairs import Correspondence
from experiments.recognise.training.told import Start, Told


@dataclass(frozen=True)
class Outcome:
    """What a run came to: how it reached which epoch, the test, and the paper's result if any."""

    history: list[Epoch]
    kept: int
    test: Evaluation
    paper: Cell | None
    curves: Path | None


def run(
    package: str | os.PathLike[str],
    settings: Settings,
    out: str | os.PathLike[str],
    choice_from: str | os.PathLike[str] | None = None,
    told: Told = Told(),  # noqa: B008 - it has no state
) -> Outcome:
    """Train a network into a folder, or go on where a run in it is, and test it.

    Args:
        package: the folder of a package, or a Hub repository.
        settings: what is asked for.
        out: the run's folder.
        choice_from: where the authors' CSVs are; see `avmit.select`.
        told: who is told of what is done meanwhile.

    Raises:
        AvmitError: rows, settings or folder do not do; the text says what to mend.
    """
    labels = avmit.TEST_CLASSES
    chosen = Chosen(package, settings, labels, choice_from)
    settings = chosen.settings
    outputs = labels if settings.task == "recognition" else PAIRED
    made = settings.architecture(widths_of(chosen.training.rows), len(outputs))
    data: Data = Recognition(chosen, made, settings)
    if settings.task == "correspondence":
        data = Correspondence(chosen, made, settings)
    folder = RunFolder(Path(out))
    with folder.begun(settings, chosen.described(), made, outputs):
        state = folder.load()
        done = len(state.history) if state is not None else 0
        sides = len(chosen.training), len(chosen.validation)
        told.start(Start(folder.path, settings, *sides, data.batches, done))
        trained = train(made, settings, data, folder, state, told)
        test = Evaluation(tuple(outputs), data.tested(trained.network), chosen.is_whole_test_set)
        paper = _paper(settings)
        folder.finish(trained.network.weights(), _results(trained, test, paper))
        curves = folder.path / CURVES if can_draw() else None
        if curves is not None:
            draw_curves(curves, trained.history, trained.kept)
    return Outcome(trained.history, trained.kept, test, paper, curves)


def _paper(settings: Settings) -> Cell | None:
    """Return the paper's result for a run of both modalities; of one alone it has none."""
    if len(settings.modalities) < 2:
        return None
    return paper_cell(settings.task, settings.config, settings.rnn)


def _results(trained: Trained, test: Evaluation, paper: Cell | None) -> dict[str, Any]:
    scores = test.scores
    return {
        "kept_epoch": trained.kept,
        "epochs": len(trained.history),
        "validation": trained.history[trained.kept - 1],
        "test": {
            "rows": len(scores),
            "whole_test_set": test.whole,
            "loss": scores.loss,
            "accuracy": scores.accuracy,
            "top5": scores.top5 if len(test.labels) > 5 else None,
            "labels": list(test.labels),
            "confusion": scores.confusion.tolist(),
        },
        "paper": paper._asdict() if paper is not None else None,
    }
