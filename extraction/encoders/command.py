"""`avmit encoders`: its table, its `check`, and the options about encoders that extract has too."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from conversion.terminal import cell, show, table_console
from conversion.wording import printable
from extraction.encoders import registry
from extraction.encoders.base import Encoder
from extraction.encoders.contract import check_side
from extraction.encoders.describe import describe_line, takes, timing
from extraction.encoders.registry import added_by_modules
from extraction.encoders.settings import (
    Backend,
    Device,
    Layout,
    Modality,
    Pooling,
    Precision,
    Settings,
    refuse_untaken,
)

WithPooling = Annotated[
    Pooling | None,
    typer.Option(
        help="Of a transformers or ONNX model: the first vector, the mean of all, or each of "
        "them; by default what docs/encoders.md says of it."
    ),
]
OutputName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which of several outputs of a SavedModel, Keras or ONNX file, by index or name.",
    ),
]
Normalize = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="What an ONNX model gets: a range as 0:1 or -1:1; of pixels also imagenet, clip, "
        "caffe or MEAN/STD as 0.5/0.5, of sound zscore.",
    ),
]
WithLayout = Annotated[
    Layout | None, typer.Option(help="Where an ONNX model has the channels of frames.")
]
FrameSide = Annotated[
    int | None,
    typer.Option(
        min=1, max=4096, help="Pixels of a frame's side, where an ONNX model leaves it open."
    ),
]
SampleRate = Annotated[
    int | None,
    typer.Option(min=1, help="Samples of sound a second for an ONNX model; by default 16000."),
]
FrameInterval = Annotated[
    float | None, typer.Option(min=1, help="From frame to frame; by default 480, as in AVMIT.")
]
WindowS = Annotated[
    float | None,
    typer.Option(help="Seconds in a window of sound (by default 0.96) or in a clip of frames."),
]
HopS = Annotated[
    float | None,
    typer.Option(
        help="Seconds from one window to the next; by default 0.48, or all of --window-s."
    ),
]
WithBackend = Annotated[
    Backend,
    typer.Option(
        help="What computes networks of TensorFlow; auto is ONNX Runtime on CPUs, where it can."
    ),
]
OnDevice = Annotated[Device, typer.Option(help="What networks are computed on.")]
WithPrecision = Annotated[Precision, typer.Option(help="What PyTorch computes with.")]
EncoderModule = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.py", help="Python file with encoders of your own; repeatable."),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run Python code out of a Hub repository, which can do all that you can.",
    ),
]
AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle", help="Load pickled weights, which can hold code, if there are no others."
    ),
]


app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def encoders(context: typer.Context, encoder_module: EncoderModule = None) -> None:
    """Show the encoders that can be named, what they take, and where their weights come from.

    Those of a scheme (keras:ResNet50, hf:facebook/dinov2-small, ...) are found out when they are
    named; `avmit encoders check NAME` shows one of them.

    Example: avmit encoders
    """
    if context.invoked_subcommand is None:
        _show(encoder_module or [])


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="ENCODER", help="As for `avmit extract`.")],
    modality: Annotated[
        Modality | None, typer.Option(help="What it takes, if its name may stand for both.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Local weights, as for extract.")] = None,
    pooling: WithPooling = None,
    output: OutputName = None,
    normalize: Normalize = None,
    frame_interval_ms: FrameInterval = None,
    window_s: WindowS = None,
    hop_s: HopS = None,
    layout: WithLayout = None,
    frame_side: FrameSide = None,
    sample_rate: SampleRate = None,
    backend: WithBackend = "auto",
    device: OnDevice = "auto",
    precision: WithPrecision = "float32",
    encoder_module: EncoderModule = None,
    trust_remote_code: TrustRemoteCode = False,
    allow_pickle: AllowPickle = False,
) -> None:
    """Load an encoder and try whether it keeps to the contract; exit with 1 if it does not.

    Example: avmit encoders check hf:facebook/dinov2-small
    """
    settings = Settings(
        weights=weights,
        pooling=pooling,
        output=output,
        normalize=normalize,
        interval_ms=frame_interval_ms,
        window_s=window_s,
        hop_s=hop_s,
        layout=layout,
        frame_side=frame_side,
        sample_rate=sample_rate,
        backend=backend,
        device=device,
        precision=precision,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
    )
    found = registry.find(name, modality, settings, encoder_module or [])
    refuse_untaken({found.modality: settings.given}, {found.modality: found.takes}, [found.name])
    opened = found.open(weights)
    show(describe_line(opened.encoder))
    show(*opened.network.notes)
    failed = False
    for what, problem in check_side(opened):
        failed |= problem is not None
        show(f"ok     {what}" if problem is None else f"FAILS  {what}: {problem}")
    raise typer.Exit(int(failed))


_SCHEMES = (
    "keras:MODEL, keras:FILE.keras, saved_model:FOLDER, kaggle:HANDLE, onnx:FILE.onnx, "
    "onnx:REPOSITORY, hf:REPOSITORY and hf:FOLDER name others; see docs/encoders.md"
)


def _show(modules: list[Path]) -> None:
    found = [*registry.encoders(), *added_by_modules(modules).values()]
    print(_SCHEMES)
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("name", "modality", "width", "input", "timing", "weights", "extra"):
        table.add_column(name, overflow="fold", justify="right" if name == "width" else "left")
    broken = []
    for encoder in found:
        if isinstance(encoder, str):
            broken.append(encoder)
        else:
            table.add_row(*map(cell, _described(encoder)))
    table_console().print(table)
    for line in broken:
        print(f"avmit: {printable(line)}", file=sys.stderr)


def _described(encoder: Encoder) -> list[str]:
    return [
        encoder.name,
        encoder.modality,
        str(encoder.width),
        takes(encoder),
        timing(encoder),
        encoder.origin,
        encoder.extra,
    ]
