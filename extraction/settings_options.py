"""The command line's options about encoders, which several commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from extraction.settings import Settings


class Pooling(StrEnum):
    """Values of --audio-pooling and --visual-pooling."""

    cls = "cls"
    mean = "mean"
    none = "none"


class Device(StrEnum):
    """Values of --device."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(StrEnum):
    """Values of --precision."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


POOLING_HELP = (
    "Of a transformers model: the first vector, the mean of all, or each of them; by default what "
    "docs/encoders.md says of its family."
)
OUTPUT_HELP = "Which of several outputs of a SavedModel or Keras file, by index or name."

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
OnDevice = Annotated[Device, typer.Option(help="What PyTorch computes on.")]
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


def shared_settings(
    frame_interval_ms: float | None,
    window_s: float | None,
    hop_s: float | None,
    device: str,
    precision: str,
    trust_remote_code: bool,
    allow_pickle: bool,
) -> Settings:
    """Return the settings that both sides share."""
    return Settings(
        interval_ms=frame_interval_ms,
        window_s=window_s,
        hop_s=hop_s,
        device=str(device),
        precision=str(precision),
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
    )
