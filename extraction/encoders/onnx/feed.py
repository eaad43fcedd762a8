"""How frames or sound are put into the input of an ONNX model, as its shape and type tell."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from extraction.encoders.onnx import processor
from extraction.encoders.onnx.graph import Input, Shape
from extraction.encoders.onnx.normalization import Pixels, Samples, pixels, samples
from extraction.encoders.onnx.source import Model
from extraction.encoders.settings import Modality, Settings, frames_form
from extraction.media.forms import HOP_S, WINDOW_S, Clips, Frames, Sound
from extraction.media.frames import FRAME_SIDE
from extraction.media.sound import SAMPLE_RATE

_FLOATS = ("float32", "float16", "float64")
_RGB = 3


@dataclass(frozen=True)
class FramesFeed:
    """Frames or clips as a batch with their channels at the axis `channels`.

    `batch` is how many go into a call, None where that is open.
    """

    input: Input
    form: Frames | Clips
    batch: int | None
    channels: int
    pixels: Pixels
    takes: frozenset[str]

    @property
    def channels_last(self) -> bool:
        """Whether they are last."""
        return self.channels == len(self.input.shape or ()) - 1

    @property
    def preprocessing(self) -> str:
        """What is done, for the manifest."""
        order = "BGR" if self.pixels.blue_first else "RGB"
        layout = "NHWC" if self.channels_last else "NCHW"
        return f"{order}, normalized {self.pixels.text}, {layout} {self.input.dtype}"

    def items(self, taken: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Return frames (N, side, side, 3), or clips of them, as the model takes them."""
        assert self.input.dtype is not None
        table = self.pixels.table(self.input.dtype)
        shape = list(taken.shape[:-1])
        shape.insert(self.channels, _RGB)
        made = np.empty(shape, table.dtype)
        planes = np.moveaxis(made, self.channels, 0)
        colours = (2, 1, 0) if self.pixels.blue_first else (0, 1, 2)
        for plane, colour in zip(planes, colours, strict=True):
            np.take(table[colour], taken[..., colour], out=plane, mode="clip")
        return made

    def array(self, items: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a batch of items as the model takes it."""
        return items


@dataclass(frozen=True)
class SoundFeed:
    """A waveform, or windows of it as a batch, with an axis `channel` where that is not None.

    `batch` is how many windows go into a call, None where that is open, 0 for a whole waveform.
    """

    input: Input
    form: Sound
    batch: int | None
    channel: int | None
    samples: Samples
    takes: frozenset[str]

    channels_last = False

    @property
    def preprocessing(self) -> str:
        """What is done, for the manifest."""
        return f"mono, normalized {self.samples.text}, {self.input.dtype}"

    def items(self, taken: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Return a waveform (N,) or windows (T, samples) as the model takes them."""
        assert self.input.dtype is not None
        return self.samples(taken, self.input.dtype)

    def array(self, items: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a batch of items as the model takes it."""
        if len(self.input.shape or ()) == 1:
            return items.reshape(-1)
        return items if self.channel is None else np.expand_dims(items, self.channel)


Feed = FramesFeed | SoundFeed


def feed_of(model: Model, modality: Modality | None, settings: Settings) -> Feed:
    """Return how a model is fed.

    Raises:
        AvmitError: it takes no frames and no sound, or not those of `modality`; the text has what
            it takes.
    """
    wanted = _only_input(model)
    assert wanted.shape is not None
    kind: Modality = "audio" if len(wanted.shape) <= 3 else "visual"
    if modality not in (None, kind):
        takes = "sound" if kind == "audio" else "frames"
        raise AvmitError(
            f"--{modality} {model.name}: its input {wanted} takes {takes}; name it with --{kind}"
        )
    if kind == "audio":
        return _sound(model, wanted, settings)
    return _frames(model, wanted, settings)


def _only_input(model: Model) -> Input:
    inputs = model.graph.inputs
    if len(inputs) != 1:
        listed = ", ".join(map(str, inputs)) or "none"
        raise AvmitError(
            f"{model.name} has {len(inputs)} inputs ({listed}), one is wanted: export the part "
            "that takes frames or sound alone, or write an encoder module around it"
        )
    (wanted,) = inputs
    if wanted.shape is None or not 1 <= len(wanted.shape) <= 5:
        raise _no_input(model, wanted)
    return wanted


def _no_input(model: Model, wanted: Input) -> AvmitError:
    return AvmitError(
        f"{model.name} takes {wanted}, neither frames (batch, 3, side, side) or (batch, side, "
        "side, 3) nor a waveform (samples) or (batch, samples): put what makes that of them into "
        "the model, or write an encoder module around it"
    )


def _check_type(model: Model, wanted: Input, *known: str) -> None:
    if wanted.dtype not in known:
        raise AvmitError(
            f"{model.name} takes {wanted}: an input of {', '.join(known[:-1])} or {known[-1]} is "
            "wanted"
        )


def _frames(model: Model, wanted: Input, settings: Settings) -> FramesFeed:
    _check_type(model, wanted, *_FLOATS, "uint8")
    assert wanted.shape is not None
    channels = _channels(model, wanted, settings)
    sizes = tuple(size for axis, size in enumerate(wanted.shape) if axis != channels)
    side = _side(model, wanted, sizes[-2:], settings)
    bytes_wanted = wanted.dtype == "uint8"
    if settings.normalize is not None:
        normal = pixels(settings.normalize)
        if bytes_wanted and not normal.as_they_are:
            raise AvmitError(
                f"{model.name} takes {wanted}, so pixels stay 0 to 255: leave --visual-normalize "
                "away"
            )
    else:
        own = None if bytes_wanted else processor.pixels_of(model.processor)
        normal = own or pixels("0:255" if bytes_wanted else "0:1")
    if len(wanted.shape) == 4:
        form: Frames | Clips = frames_form(settings, side)
        timing = {"interval_ms"}
    else:
        hop = settings.hop_s
        window = settings.window_s or hop
        form = Clips(sizes[1] or Clips.frames, side, window, hop)
        timing = {"window_s", "hop_s"}
    takes = frozenset({"normalize", "layout", "frame_side", *timing})
    return FramesFeed(wanted, form, sizes[0], channels, normal, takes)


def _channels(model: Model, wanted: Input, settings: Settings) -> int:
    """Return the axis of the three channels."""
    assert wanted.shape is not None
    last = len(wanted.shape) - 1
    places = {"nchw": range(1, last - 1), "nhwc": [last]}
    if settings.layout is not None:
        axes = [*places[settings.layout]]
    else:
        axes = [*places["nchw"], *places["nhwc"]]
    sure = [axis for axis in axes if wanted.shape[axis] == _RGB]
    possible = sure or [axis for axis in axes if wanted.shape[axis] is None]
    if not possible and settings.layout is not None:
        raise AvmitError(f"{model.name} takes {wanted}, not {settings.layout}: leave --layout away")
    if not possible:
        raise _no_input(model, wanted)
    if len(possible) > 1:
        how = "name its layout with --layout nchw or nhwc"
        if settings.layout is not None:
            how = "export it with the number of its channels in the shape"
        raise AvmitError(
            f"{model.name} takes {wanted}, which may have its channels anywhere: {how}"
        )
    return possible[0]


def _side(model: Model, wanted: Input, sizes: Shape, settings: Settings) -> int:
    fixed = {size for size in sizes if size is not None}
    if len(fixed) > 1:
        raise AvmitError(f"{model.name} takes {wanted}: frames must be square")
    asked = settings.frame_side
    if not fixed:
        return asked or processor.side_of(model.processor) or FRAME_SIDE
    (side,) = fixed
    if asked not in (None, side):
        raise AvmitError(f"{model.name} takes {wanted}, not --frame-side {asked}: leave it away")
    return side


def _sound(model: Model, wanted: Input, settings: Settings) -> SoundFeed:
    _check_type(model, wanted, *_FLOATS)
    assert wanted.shape is not None
    config = model.processor
    if settings.normalize is not None:
        normal = samples(settings.normalize)
    else:
        normal = processor.samples_of(config) or samples("-1:1")
    rate = settings.sample_rate or processor.rate_of(config) or SAMPLE_RATE
    shape, channel = wanted.shape, None
    if len(shape) == 3:
        channel = next((axis for axis in (1, 2) if shape[axis] == 1), None)
        if channel is None:
            raise _no_input(model, wanted)
        shape = (shape[0], shape[3 - channel])
    length = shape[-1]
    batch = shape[0] if len(shape) == 2 else 1
    hop, window = settings.hop_s, settings.window_s
    takes = frozenset({"normalize", "sample_rate", "hop_s"})
    if length is not None:
        form = Sound(rate, length / rate, hop or length / rate)
    else:
        takes |= {"window_s"}
        form = Sound(rate, window or WINDOW_S, hop or (HOP_S if window is None else window))
        if len(shape) == 1 and window is None and hop is None:
            form, batch = Sound(rate), 0
    return SoundFeed(wanted, form, batch, channel, normal, takes)
