"""What a user may set about an encoder, and the options that set it."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from avmit import AvmitError
from extraction.media.forms import Frames

Modality = Literal["audio", "visual"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
Pooling = Literal["cls", "mean", "none"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16", "float16"]
Layout = Literal["nchw", "nhwc"]
Backend = Literal["auto", "tensorflow", "onnx"]

_CHOICES = {
    "pooling": Pooling,
    "layout": Layout,
    "backend": Backend,
    "device": Device,
    "precision": Precision,
}
_OF_A_SIDE = ("weights", "pooling", "output", "normalize")
_OPTIONS = {
    "interval_ms": "--frame-interval-ms",
    "window_s": "--window-s",
    "hop_s": "--hop-s",
    "layout": "--layout",
    "frame_side": "--frame-side",
    "sample_rate": "--sample-rate",
    "backend": "--backend",
    "device": "--device",
    "precision": "--precision",
    "trust_remote_code": "--trust-remote-code",
    "allow_pickle": "--allow-pickle",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is asked of one side's encoder; None leaves it to the encoder.

    `weights` is a local file or folder; `pooling` how a model's vectors become a timestep's,
    `output` the index or name of one of several outputs, `normalize` what is done to pixels or
    samples, `interval_ms` the ms between frames, `window_s` and `hop_s` the seconds of a window and
    from one to the next, `layout` where the channels of frames are, `frame_side` the pixels of
    their sides, `sample_rate` the samples of sound a second, `backend` what computes a network of
    TensorFlow, `device` what it or another is computed on, `precision` what a PyTorch model
    computes with. `trust_remote_code` lets a Hub repository's own Python code run,
    `allow_pickle` lets weights be loaded that can hold code.
    """

    weights: Path | None = None
    pooling: Pooling | None = None
    output: str | None = None
    normalize: str | None = None
    interval_ms: float | None = None
    window_s: float | None = None
    hop_s: float | None = None
    layout: Layout | None = None
    frame_side: int | None = None
    sample_rate: int | None = None
    backend: Backend = "auto"
    device: Device = "auto"
    precision: Precision = "float32"
    trust_remote_code: bool = False
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        for name in ("interval_ms", "window_s", "hop_s", "frame_side", "sample_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise AvmitError(f"{_OPTIONS[name]} {value:g}: give a number above 0")
        for name, kind in _CHOICES.items():
            value, known = getattr(self, name), get_args(kind)
            if value is not None and value not in known:
                raise AvmitError(f"'{value}' is no {name}: choose from {', '.join(known)}")

    @property
    def given(self) -> set[str]:
        """The names of those that differ from the default."""
        return {one.name for one in fields(self) if getattr(self, one.name) != one.default}


def frames_form(settings: Settings, side: int | None) -> Frames:
    """Return frames of that side, at the interval that is asked for."""
    interval = settings.interval_ms
    return Frames(side) if interval is None else Frames(side, interval)


def option(modality: Modality, setting: str = "weights") -> str:
    """Return the command line's option for a setting, of that side where each has its own."""
    return f"--{modality}-{setting}" if setting in _OF_A_SIDE else _OPTIONS[setting]


def refuse_untaken(
    given: dict[Modality, set[str]], takes: dict[Modality, frozenset[str]], names: Iterable[str]
) -> None:
    """Check that each setting is taken by the encoder of its side, or if it has none, by any.

    Raises:
        AvmitError: one is not.
    """
    for modality, settings in given.items():
        for setting in sorted(settings):
            side = [modality] if setting in _OF_A_SIDE else list(takes)
            if not any(setting in takes.get(one, ()) for one in side):
                raise AvmitError(
                    f"{option(modality, setting)} is not for {' and '.join(names)}: leave it away"
                )
