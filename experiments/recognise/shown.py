"""Results in tables and lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from conversion.wording import count_of, printable
from experiments.recognise.agreement import LOSS, MARGIN
from experiments.recognise.evaluation import Evaluation
from experiments.recognise.paper import Cell
from experiments.recognise.runs.history import Epoch
from experiments.recognise.table import Done
from experiments.recognise.training.told import Start

TEST_VIDEOS = 960


def scores(found: Evaluation, paper: Cell | None) -> Table:
    """Return loss, top-1 and top-5, beside the paper's if there are."""
    table = _table("test", "", "here", *(["paper, trained on AVMIT"] if paper else []))
    ours = _numbers(found)
    theirs = {"loss": paper.loss, "top-1": paper.accuracy, "top-5": paper.top5} if paper else {}
    for name, value in ours.items():
        table.add_row(name, _number(value), *([_number(theirs[name])] if paper else []))
    return table


def agreement(found: Evaluation) -> Table:
    """Return loss, top-1 and top-5, beside what was published if all test videos are there."""
    if not found.agreements:
        return scores(found, None)
    table = _table("test", "", "published", "here", "would agree", "")
    for one in found.agreements:
        verdict = Text("ok", "green") if one.holds else Text("DIFFERS", "bold red")
        within = f"{_number(one.lowest)} to {_number(one.highest)}"
        table.add_row(one.name, _number(one.published), _number(one.found), within, verdict)
    return table


def classes(found: Evaluation) -> Table:
    """Return how many of each class were recognised, and what they were most often taken for."""
    table = _table("classes", "class", "rows", "right", "share", "most often taken for")
    confusion = found.scores.confusion
    for number, name in enumerate(found.labels):
        row = confusion[number]
        rows, right = int(row.sum()), int(row[number])
        wrong = row.copy()
        wrong[number] = 0
        other = f"{found.labels[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        share = f"{right / rows:.3f}" if rows else ""
        table.add_row(Text(printable(name)), f"{rows:,}", f"{right:,}", share, printable(other))
    return table


def confusion(found: Evaluation) -> Table:
    """Return how many of each class, a row, were taken for which, a column."""
    short = [printable(name)[:3] for name in found.labels]
    table = _table("confusion", "class", *short)
    table.padding = 0  # 16 classes fit 80 columns
    for name, row in zip(found.labels, found.scores.confusion.tolist(), strict=True):
        table.add_row(Text(printable(name)), *(str(count) if count else "." for count in row))
    return table


def cells(done: Sequence[Done]) -> Table:
    """Return our networks' results beside the paper's."""
    table = _table(
        "test",
        *("task", "config", "rnn", "epoch", "loss", "top-1", "top-5"),
        *("paper: loss", "top-1", "top-5", "MIT-16: top-1"),
    )
    for one in done:
        table.add_row(
            one.paper.task,
            one.paper.config,
            one.paper.rnn,
            str(one.outcome.kept),
            *map(_number, _numbers(one.outcome.test, both=True).values()),
            *map(_number, (one.paper.loss, one.paper.accuracy, one.paper.top5)),
            _number(one.unrated.accuracy if one.unrated else None),
        )
    return table


def verdict(found: Evaluation) -> str:
    """Say whether a network gives what was published."""
    if found.agrees:
        return (
            f"all {len(found.scores)} test videos, and what was published of the network: "
            "conversion, order, padding and labels are right"
        )
    if found.agrees is False:
        return (
            "not what was published of the network: is the package whole (avmit verify), and the "
            "config that of the published embeddings?"
        )
    if not found.published:
        return f"{of_test_videos(found)}; nothing was published of the network to compare with"
    return f"{of_test_videos(found)}, so nothing is said of agreement with what was published"


def of_test_videos(found: Evaluation) -> str:
    """Say how many of the test videos there are."""
    if len(found.labels) == 2:
        return f"{len(found.scores):,} pairs of test videos"
    if found.whole:
        return f"all {TEST_VIDEOS} test videos"
    return f"{len(found.scores):,} of {TEST_VIDEOS} test videos"


def start(begun: Start) -> str:
    """Say what a run is about to do."""
    asked = begun.settings
    said = (
        f"{begun.folder}: {begun.training:,} videos to train on, {begun.validation:,} to validate"
    )
    if asked.videos == "balanced":
        said += f" ({asked.per_class} and {asked.validation} of each class)"
    said += (
        f"; {count_of(begun.batches, 'batch', 'batches')} an epoch, at most {asked.epochs:,} epochs"
    )
    return f"{said}; goes on after epoch {begun.done}" if begun.done else said


def epoch(row: Epoch) -> str:
    """Say how an epoch went."""
    return (
        f"epoch {row['epoch']}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
        f"validation: loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}"
    )


def document(package: Path, config: str, checkpoint: Path, found: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON has it; `agrees` is null where it cannot be told."""
    numbers = found.scores.confusion
    return {
        "package": str(package),
        "config": config,
        "checkpoint": str(checkpoint),
        "videos": len(found.scores),
        "whole_test_set": found.whole,
        **{key.replace("-", ""): value for key, value in _numbers(found).items()},
        "agrees": found.agrees,
        "allowed": {"loss": LOSS, "probability": MARGIN},
        "published": {one.name.replace("-", ""): one.published for one in found.agreements},
        "labels": list(found.labels),
        "recognised": _shares(found),
        "confusion": numbers.tolist(),
    }


def _shares(found: Evaluation) -> dict[str, float | None]:
    """Return which share of each class was recognised; None where there is none."""
    table = found.scores.confusion
    rows = table.sum(1).tolist()
    right = table.diagonal().tolist()
    return {
        name: right[number] / rows[number] if rows[number] else None
        for number, name in enumerate(found.labels)
    }


def _numbers(found: Evaluation, both: bool = False) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {
        "loss": found.scores.loss,
        "top-1": found.scores.accuracy,
    }
    if len(found.labels) > 5:
        numbers["top-5"] = found.scores.top5
    elif both:
        numbers["top-5"] = None
    return numbers


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
    return table
