"""The command `avmit recognise`."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from avmit import AvmitError
from conversion.terminal import Advance, PackageFolder, progress_bar, show, table_console
from experiments.recognise import figures, shown
from experiments.recognise.evaluation import Evaluation, evaluate
from experiments.recognise.networks.architecture import Rnn, Task
from experiments.recognise.networks.frameworks import Framework
from experiments.recognise.runs.history import Epoch
from experiments.recognise.runs.settings import Settings, Videos, settings
from experiments.recognise.table import run_cells
from experiments.recognise.training.run import Outcome, run
from experiments.recognise.training.told import Told


def recognise(
    package: PackageFolder,
    config: Annotated[str | None, typer.Option(help="The config of embeddings.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Evaluate the network in this folder, the authors' or a run."),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train the paper's network.")] = False,
    table: Annotated[
        bool, typer.Option("--table", help="Train all of the paper's networks, one a folder.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run, or of the runs of --table.")
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(help="Which of the paper's tasks: recognition, or with --table both."),
    ] = None,
    rnn: Annotated[
        Rnn | None, typer.Option(help="Which recurrent layer: gru, or with --table all.")
    ] = None,
    framework: Annotated[
        Framework | None, typer.Option(help="What computes; by default Keras if it is installed.")
    ] = None,
    choice: Annotated[
        Videos, typer.Option(help="The authors' videos, or as many of each class at random.")
    ] = "paper",
    choice_from: Annotated[
        str | None, typer.Option(help="Folder or address of the authors' CSVs of videos.")
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Videos of each class for training, of --choice balanced; by default the "
            "paper's 410, or as many as there can be.",
        ),
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(
            min=1, help="Videos of each class for validation; by default the paper's 46 for 410."
        ),
    ] = None,
    audio_only: Annotated[
        bool, typer.Option("--audio-only", help="Without the visual embeddings.")
    ] = False,
    visual_only: Annotated[
        bool, typer.Option("--visual-only", help="Without the audio embeddings.")
    ] = False,
    units: Annotated[
        int | None,
        typer.Option(
            min=1, help="Units of the recurrent layer; here, and below, by default the paper's."
        ),
    ] = None,
    bottleneck: Annotated[
        int | None, typer.Option(min=1, help="Channels that each modality is narrowed to.")
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="Dropped of what the layer gets.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows a step.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; paper: 200.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better loss.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and dropout.")] = 0,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of tables.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the confusion matrix into this PNG file.")
    ] = None,
) -> None:
    """Recognise the test videos with the paper's networks, the authors' or trained anew.

    With --checkpoint FOLDER of the authors, exits with 0 if loss, top-1 and top-5 are what was
    published, and with 1 if they are not, or if it cannot be told since test videos are missing.
    With --train, a run that was stopped goes on where it was.

    Example: avmit recognise avmit --config yamnet_effnet --checkpoint YamNet_EffNet_GRU_AVMIT
    """
    if sum((checkpoint is not None, train, table)) != 1:
        raise AvmitError("say what to do: one of --checkpoint FOLDER, --train and --table")
    if figure is not None:
        _check_figure(figure, table)
    modalities = _modalities(audio_only, visual_only)
    given: dict[str, Any] = {
        "modalities": modalities,
        "units": units,
        "bottleneck": bottleneck,
        "dropout": dropout,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "epochs": epochs,
        "patience": patience,
        "videos": choice,
        "per_class": per_class,
        "validation": validation,
        "seed": seed,
    }
    if checkpoint is not None:
        _check_ignored({**given, "modalities": len(modalities) < 2, "task": task, "rnn": rnn})
        _evaluate(package, _named(config), checkpoint, framework, json_output, figure)
        return
    if out is None:
        raise AvmitError("--out says where a run is written: pass --out runs/first, for one")
    if train:
        asked = settings(_named(config), task or "recognition", rnn or "gru", framework, **given)
        _train(package, asked, out, choice_from, json_output, figure)
        return
    with _told(json_output) as told:
        cells = run_cells(package, config, out, framework, choice_from, given, told, task, rnn)
    if json_output:
        print(json.dumps([cell.document() for cell in cells], indent=2))
    else:
        table_console().print(shown.cells(cells))


def _evaluate(
    package: Path,
    config: str,
    checkpoint: Path,
    framework: Framework | None,
    json_output: bool,
    figure: Path | None,
) -> None:
    with progress_bar("recognising") as advance:
        found = evaluate(package, config, checkpoint, framework, advance)
    title = f"{checkpoint.name} on {config}"
    if figure is not None:
        figures.draw_confusion(figure, found, title)
    if json_output:
        print(json.dumps(shown.document(package, config, checkpoint, found), indent=2))
    else:
        _show(found)
        show(shown.verdict(found))
    if found.agrees is False or (found.published and found.agrees is None):
        raise typer.Exit(1)


def _train(
    package: Path,
    asked: Settings,
    out: Path,
    choice_from: str | None,
    json_output: bool,
    figure: Path | None,
) -> None:
    with _told(json_output) as told:
        outcome = run(package, asked, out, choice_from, told)
    if figure is not None:
        figures.draw_confusion(figure, outcome.test, out.name)
    if json_output:
        print((out / "results.json").read_text(encoding="utf-8"), end="")
        return
    _show_run(outcome, out)


def _show_run(outcome: Outcome, out: Path) -> None:
    console = table_console()
    console.print(shown.scores(outcome.test, outcome.paper))
    console.print(shown.classes(outcome.test))
    console.print(shown.confusion(outcome.test))
    show(
        f"{out}: kept epoch {outcome.kept} of {len(outcome.history)}; "
        f"{shown.of_test_videos(outcome.test)}"
    )
    if outcome.curves is None:
        show("no curves.png: pip install 'avmit[recognise]'")


def _show(found: Evaluation) -> None:
    console = table_console()
    console.print(shown.agreement(found))
    console.print(shown.classes(found))
    console.print(shown.confusion(found))


@contextmanager
def _told(json_output: bool) -> Iterator[Told]:
    """Yield what shows lines of a run, and a bar in each epoch, which makes way for its line."""
    with ExitStack() as bars:
        advances: list[Advance] = []

        def batch(epoch: int, batches: int) -> None:
            if not advances:
                bar = progress_bar(f"epoch {epoch}", transient=True)
                advances.append(bars.enter_context(bar))
            advances[0](1, batches)

        def epoch(row: Epoch) -> None:
            bars.close()
            advances.clear()
            lines(shown.epoch(row))

        def lines(*said: str) -> None:
            if not json_output:
                show(*said)

        yield Told(lambda start: lines(shown.start(start)), batch, epoch)


def _named(config: str | None) -> str:
    if config is None:
        raise AvmitError("--config says which embeddings: pass --config yamnet_effnet, for one")
    return config


def _modalities(audio_only: bool, visual_only: bool) -> tuple[str, ...]:
    if audio_only and visual_only:
        raise AvmitError("--audio-only and --visual-only leave nothing: pass one of them")
    return ("audio",) if audio_only else ("visual",) if visual_only else ("audio", "visual")


def _check_ignored(given: dict[str, Any]) -> None:
    """Refuse what a trained network does not do otherwise for being asked to."""
    unless = {"videos": "paper", "seed": 0, "modalities": False}
    asked = [name for name, value in given.items() if value not in (None, unless.get(name))]
    if asked:
        called = {"videos": "choice", "modalities": "audio-only or --visual-only"}
        option = called.get(asked[0], asked[0].replace("_", "-"))
        raise AvmitError(f"--{option} is for training, and --checkpoint is trained: leave it out")


def _check_figure(figure: Path, table: bool) -> None:
    """Refuse, before anything long, what could not be drawn."""
    if table:
        raise AvmitError("--figure is of one network: draw it with --checkpoint, of each run")
    if not figure.parent.is_dir():
        raise AvmitError(f"--figure {figure}: there is no folder {figure.parent}")
    if figure.suffix.lower() != ".png":
        raise AvmitError(f"--figure {figure}: name a file that ends in .png")
    if not figures.can_draw():
        raise AvmitError("--figure needs matplotlib: pip install 'avmit[recognise]'")
