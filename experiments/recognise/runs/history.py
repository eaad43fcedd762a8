"""What the epochs of a run gave, and what follows from it: which is kept, when to stop."""

import csv
import io
import math
from collections.abc import Sequence
from typing import TypedDict

from experiments.recognise.networks.architecture import Task
from experiments.recognise.runs.settings import MIN_DELTA


class Epoch(TypedDict):
    """An epoch from 1 on: loss in nats and share recognised, in training and of validation."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


def best_epoch(history: Sequence[Epoch], task: Task) -> int:
    """Return the epoch whose weights are kept, the first of equals.

    The paper keeps the lowest loss of validation in recognition, and in the correspondence task the
    highest accuracy.
    """
    if task == "recognition":
        return min(history, key=lambda row: row["val_loss"])["epoch"]
    return max(history, key=lambda row: row["val_accuracy"])["epoch"]


def stops(history: Sequence[Epoch], patience: int) -> bool:
    """Tell whether the loss of validation was not clearly lower for `patience` epochs."""
    lowest, waited = math.inf, 0
    for row in history:
        waited += 1
        if row["val_loss"] < lowest - MIN_DELTA:
            lowest, waited = row["val_loss"], 0
    return waited >= patience


def as_csv(history: Sequence[Epoch]) -> bytes:
    """Return a table with a row for each epoch; numbers are read back as they were."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Epoch.__annotations__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue().encode()
