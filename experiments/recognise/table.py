"""All of the paper's networks, trained anew on a package, one run each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avmit import AvmitError, find_package
from experiments.recognise.networks.architecture import Rnn, Task
from experiments.recognise.networks.frameworks import Framework
from experiments.recognise.paper import CELLS, Cell, paper_cell
from experiments.recognise.runs.settings import settings
from experiments.recognise.training.run import Outcome, run
from experiments.recognise.training.told import Told


@dataclass(frozen=True)
class Done:
    """A run beside the paper's result, and beside that of training on videos not rated."""

    outcome: Outcome
    paper: Cell

    @property
    def unrated(self) -> Cell | None:
        """The paper's network of the same make, trained on MIT-16."""
        return paper_cell(self.paper.task, self.paper.config, self.paper.rnn, "MIT-16")

    def document(self) -> dict[str, Any]:
        """Return both as JSON has them."""
        scores = self.outcome.test.scores
        ours = {"loss": scores.loss, "accuracy": scores.accuracy, "rows": len(scores)}
        if self.paper.top5 is not None:
            ours["top5"] = scores.top5
        return {"paper": self.paper._asdict(), "here": ours, "kept_epoch": self.outcome.kept}


def run_cells(
    package: Path,
    config: str | None,
    out: Path,
    framework: Framework | None,
    choice_from: str | os.PathLike[str] | None,
    given: Mapping[str, Any],
    told: Told,
    task: Task | None = None,
    rnn: Rnn | None = None,
) -> list[Done]:
    """Train each of the paper's networks whose config is in the package; see `run`.

    `config`, `task` and `rnn` leave the others out; networks of one modality are for recognition.
    Each has a folder in `out`, such as `recognition-yamnet_effnet-gru`; runs that are finished are
    not trained again.

    Raises:
        AvmitError: none of the configs is there, or as `run`.
    """
    place = find_package(package)
    only = "recognition" if len(given["modalities"]) < 2 else None
    cells = [
        cell
        for cell in CELLS
        if cell.trained_on == "AVMIT"
        and config in (None, cell.config)
        and (task or only) in (None, cell.task)
        and rnn in (None, cell.rnn)
        and (isinstance(place, str) or (place / cell.config).is_dir())
    ]
    if not cells:
        names = sorted({cell.config for cell in CELLS})
        raise AvmitError(f"{package} has none of the paper's configs: {', '.join(names)}")
    done = []
    for cell in cells:
        asked = settings(cell.config, cell.task, cell.rnn, framework, **given)
        folder = out / f"{cell.task}-{cell.config}-{cell.rnn}"
        done.append(Done(run(package, asked, folder, choice_from, told), cell))
    return done
