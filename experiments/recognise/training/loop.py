"""Epoch after epoch, until validation gets no better."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from avmit import AvmitError
from experiments.recognise.networks.architecture import Architecture, initial_weights
from experiments.recognise.networks.frameworks import network
from experiments.recognise.networks.network import Batch, Network
from experiments.recognise.runs.history import Epoch, best_epoch, stops
from experiments.recognise.runs.run_folder import RunFolder, State
from experiments.recognise.runs.settings import Settings
from experiments.recognise.training.data import Data
from experiments.recognise.training.told import Told


@dataclass
class Trained:
    """The network with the weights that are kept, and how it came to them."""

    network: Network
    history: list[Epoch]
    kept: int
    """The epoch, from 1 on."""


def train(
    made: Architecture,
    settings: Settings,
    data: Data,
    run: RunFolder,
    state: State | None,
    told: Told,
) -> Trained:
    """Train a network, from where the run is, or from the start.

    After each epoch all that the next one follows from is in one file: the weights, what the
    optimizer remembers, and the metrics so far. The order of rows and what is dropped follow from
    seed and epoch. So a run that was killed goes on with the numbers that it would have had.

    Raises:
        AvmitError: the loss is no number any longer, or as reading rows.
    """
    start = initial_weights(made, settings.seed)
    trained = network(made, start, settings.framework)
    trained.prepare(settings.optimizer)
    if state is None:
        state = State([], start, {}, start)
    else:
        made.check(state.weights, str(run.path))
        made.check(state.best, str(run.path))
        trained.set_weights(state.weights)
        trained.set_optimizer_state(state.optimizer)
    while len(state.history) < settings.epochs and not stops(state.history, settings.patience):
        number = len(state.history)
        loss, accuracy = trained.train(_watched(data, number, told), (settings.seed, number))
        scores = data.validated(trained)
        row = Epoch(
            epoch=number + 1,
            loss=loss,
            accuracy=accuracy,
            val_loss=scores.loss,
            val_accuracy=scores.accuracy,
        )
        if not (math.isfinite(row["loss"]) and math.isfinite(row["val_loss"])):
            raise AvmitError(_no_number(row, settings, run))
        history = [*state.history, row]
        weights = trained.weights()
        best = weights if best_epoch(history, settings.task) == row["epoch"] else state.best
        state = State(history, weights, trained.optimizer_state(), best)
        run.keep(state)
        told.epoch(row)
    run.write_metrics(state.history)
    trained.set_weights(state.best)
    return Trained(trained, state.history, best_epoch(state.history, settings.task))


def _watched(data: Data, epoch: int, told: Told) -> Iterator[Batch]:
    """Yield the batches of an epoch, and tell of each that is done."""
    for batch in data.training(epoch):
        yield batch
        told.batch(epoch + 1, data.batches)


def _no_number(row: Epoch, settings: Settings, run: RunFolder) -> str:
    which = "loss" if not math.isfinite(row["loss"]) else "loss of validation"
    return (
        f"the {which} is {row['loss' if which == 'loss' else 'val_loss']} in epoch {row['epoch']} "
        f"of {run.path}: look for values that are no numbers with `avmit verify`, or train with a "
        f"--learning-rate below {settings.learning_rate:g}; what was before is kept"
    )
