"""Pictures of what networks do, by matplotlib."""

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conversion.whole import write_whole
from experiments.extras import require
from experiments.recognise.evaluation import Evaluation
from experiments.recognise.runs.history import Epoch

_DARK = 0.5
"""The share of a row from which on white is read better than black."""


def can_draw() -> bool:
    """Tell whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_confusion(path: Path, found: Evaluation, title: str) -> None:
    """Draw which class was taken for which: a row each, shares of it as shades.

    Raises:
        AvmitError: matplotlib is not installed.
    """
    figure = _figure(9, 8)
    axes = figure.add_subplot()
    counts = found.scores.confusion
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(found.labels))
    axes.set_xticks(places, found.labels, rotation=60, ha="right")
    axes.set_yticks(places, found.labels)
    for row in places:
        for column in places:
            if counts[row, column]:
                color = "white" if shares[row, column] > _DARK else "black"
                text = str(counts[row, column])
                axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xlabel("recognised as")
    axes.set_ylabel("class")
    axes.set_title(title, fontsize=10)
    _save(figure, path)


def draw_curves(path: Path, history: Sequence[Epoch], best: int) -> None:
    """Draw loss and accuracy, in training and validation, over the epochs.

    Raises:
        AvmitError: matplotlib is not installed.
    """
    figure = _figure(9, 4)
    epochs = [row["epoch"] for row in history]
    for place, name in enumerate(("loss", "accuracy")):
        axes = figure.add_subplot(1, 2, place + 1)
        axes.plot(epochs, _values(history, name), label="training")
        axes.plot(epochs, _values(history, f"val_{name}"), label="validation")
        axes.axvline(best, color="gray", linewidth=0.8, label="kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{name} (nats)" if name == "loss" else name)
        axes.legend()
    _save(figure, path)


def _values(history: Sequence[Epoch], name: str) -> list[float]:
    return [float(dict(row)[name]) for row in history]  # type: ignore[arg-type]


def _figure(width: float, height: float) -> Any:
    # Without pyplot, which would look for a screen.
    figures = require("matplotlib.figure", "a figure", "'avmit[recognise]'")
    return figures.Figure((width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    write_whole(path, data.getvalue())
