"""What a run is asked for: by default what the paper's networks were trained with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from avmit import AvmitError
from conversion.spelled import Spelled, argument, spelled
from experiments.choices.splitting import PER_CLASS, VALIDATION
from experiments.feeding.batches.options import whole_number
from experiments.recognise.networks.architecture import DENSE, Architecture, Rnn, Task
from experiments.recognise.networks.frameworks import Framework, chosen
from experiments.recognise.networks.network import Optimizer
from experiments.recognise.paper import settings_cell

Videos = Literal["paper", "balanced"]
EPOCHS = 200
"""The most epochs of the paper's runs."""

PATIENCE: dict[Task, int] = {"recognition": 20, "correspondence": EPOCHS}
"""Epochs without a better loss after which the paper's runs stop; those for the correspondence task
went through all epochs."""

MIN_DELTA = 1e-3
"""How much lower the loss must be to count as better, for stopping: the paper's."""

WEIGHT_DECAY: dict[Task, float] = {"recognition": 0.0, "correspondence": 1e-5}
"""Of the authors' optimizers, Adam without and with it."""


@dataclass(frozen=True)
class Settings:
    """All that a run's numbers follow from, beside the rows and the machine.

    Raises:
        AvmitError: a value is out of its range.
    """

    task: Task
    config: str
    modalities: tuple[str, ...]
    rnn: Rnn
    units: int
    bottleneck: int
    dropout: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    videos: Videos
    per_class: int | None
    """Videos of each class that are trained on; None for what `avmit.splits` makes of that."""
    validation: int | None
    seed: int
    framework: Framework

    def __post_init__(self) -> None:
        for name in ("units", "bottleneck", "batch_size", "epochs", "patience"):
            whole_number(name, getattr(self, name), 1)
        for name in ("per_class", "validation"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), 1)
        whole_number("seed", self.seed, 0)
        for name, kinds in (("task", Task), ("rnn", Rnn), ("videos", Videos)):
            if getattr(self, name) not in get_args(kinds):
                raise AvmitError(
                    f"{name}={getattr(self, name)!r}: it is one of {', '.join(get_args(kinds))}"
                )
        for name, most in (("learning_rate", math.inf), ("dropout", 1.0), ("weight_decay", 1.0)):
            value = getattr(self, name)
            if not 0 <= value < most or (name == "learning_rate" and value == 0):
                raise AvmitError(
                    spelled(
                        argument(name, value),
                        ": it is a number above 0"
                        if most == math.inf
                        else f": it is a number from 0 to below {most:g}",
                    )
                )
        if self.task == "correspondence" and len(self.modalities) < 2:
            raise AvmitError(
                "the correspondence task needs both audio and visual: leave out neither"
            )

    def architecture(self, widths: Mapping[str, int], classes: int) -> Architecture:
        """Return the network for embeddings of these widths.

        Raises:
            AvmitError: a modality is not there.
        """
        missing = [name for name in self.modalities if name not in widths]
        if missing:
            other = "visual" if missing[0] == "audio" else "audio"
            raise AvmitError(
                f"config {self.config} has no {missing[0]} embeddings: pass --{other}-only"
            )
        return Architecture(
            task=self.task,
            widths=tuple((name, widths[name]) for name in self.modalities),
            rnn=self.rnn,
            units=self.units,
            bottleneck=self.bottleneck,
            classes=classes,
            dropout=self.dropout,
        )

    @property
    def optimizer(self) -> Optimizer:
        """The settings of Adam."""
        return Optimizer(self.learning_rate, self.weight_decay)


def settings(
    config: str,
    task: Task = "recognition",
    rnn: Rnn = "gru",
    framework: Framework | None = None,
    **given: Any,
) -> Settings:
    """Return the paper's settings of a network for a config, but for those that are given.

    `given` are fields of `Settings`; None stands for the paper's. A config that is not of the paper
    gets the settings of `yamnet_effnet`. Of balanced videos there are as many as in the paper, or
    else as many as there can be: see `avmit.splits`.

    Raises:
        AvmitError: one is out of its range.
    """
    for name, value, kinds in (("task", task, Task), ("rnn", rnn, Rnn)):
        if value not in get_args(kinds):
            raise AvmitError(f"{name}={value!r}: it is one of {', '.join(get_args(kinds))}")
    cell = settings_cell(task, config, rnn)
    authors = given.get("videos") in (None, "paper")
    for name in ("per_class", "validation"):
        if authors and given.get(name) is not None:
            raise AvmitError(
                spelled(
                    argument(name, given[name]),
                    " is of ",
                    Spelled("videos='balanced'", "--choice balanced"),
                    ", and the authors' videos are as many as they are: leave it out, or pass that",
                )
            )
    paper = {
        "modalities": ("audio", "visual"),
        "units": cell.units,
        "bottleneck": cell.bottleneck or DENSE,
        "dropout": cell.dropout,
        "learning_rate": cell.learning_rate,
        "weight_decay": WEIGHT_DECAY[task],
        "batch_size": cell.batch_size,
        "epochs": EPOCHS,
        "patience": PATIENCE[task],
        "videos": "paper",
        "per_class": PER_CLASS if authors else None,
        "validation": VALIDATION if authors else None,
        "seed": 0,
    }
    unknown = set(given) - {field.name for field in fields(Settings)}
    assert not unknown, unknown
    said = {name: value for name, value in given.items() if value is not None}
    return Settings(
        task=task, config=config, rnn=rnn, framework=chosen(framework), **{**paper, **said}
    )
