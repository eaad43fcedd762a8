"""`keras:` encoders: any model of keras.applications by its name, or a .keras file by its path."""

import difflib
import hashlib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoders.arrays import BATCH, by_name, pick
from extraction.encoders.base import Encoder, weights_digest
from extraction.encoders.settings import Modality, Settings, frames_form, option
from extraction.encoders.tensorflow.encoder import OPTIONS, TensorFlowEncoder
from extraction.encoders.tensorflow.frames_network import (
    FramesNetwork,
    as_it_is,
    finalize,
    keras_on_tensorflow,
)
from extraction.encoders.tensorflow.network import TensorFlowNetwork, device, place
from extraction.encoders.tensorflow.published import rescaled
from extraction.encoders.tensorflow.registered import registered_code
from extraction.extras import require
from extraction.media.forms import Frames
from extraction.media.frames import FRAME_SIDE

SIDES = {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}
"""The `default_size` of models in keras/src/applications that is not 224."""

_TAKES = OPTIONS | {"interval_ms"}


def keras_encoder(rest: str, modality: Modality | None, settings: Settings) -> Encoder:
    """Return the encoder `keras:<rest>`.

    Raises:
        AvmitError: there is no such model or file, or sound is wanted.
    """
    if modality == "audio":
        raise AvmitError(
            f"--audio keras:{rest}: Keras models take frames here; export a model of sound as a "
            "SavedModel, and name it saved_model:/path"
        )
    if "/" in rest or "\\" in rest or rest.endswith(".keras"):
        return _file(Path(rest), settings)
    applications = keras_on_tensorflow().applications
    known = [name for name in dir(applications) if inspect.isfunction(getattr(applications, name))]
    if rest not in known:
        lower = {name.lower(): name for name in known}
        near = difflib.get_close_matches(rest.lower(), lower, 3, cutoff=0.5)
        meant = ", ".join(f"keras:{lower[name]}" for name in near) or ", ".join(known)
        raise AvmitError(f"no model keras:{rest} in keras.applications: did you mean {meant}?")
    form = frames_form(settings, SIDES.get(rest, FRAME_SIDE))
    return KerasApplication(
        name=f"keras:{rest}",
        width=0,
        input=form,
        window_ms=0,
        step_ms=form.interval_ms,
        origin=f"keras.applications {rest}, ImageNet",
        preprocessing=f"RGB 0 to 255, preprocess_input of {rest}, averaged over the image",
        takes=_TAKES | {"weights"},
        model=rest,
    )


@dataclass(frozen=True, kw_only=True)
class KerasApplication(TensorFlowEncoder):
    """A model of keras.applications with its own preprocessing and `pooling="avg"`."""

    model: str

    def find_weights(self, weights: Path | None) -> None:
        """Leave it to Keras, which alone knows which file has the weights."""

    def load(self, weights: Path | None) -> TensorFlowNetwork:
        """Build the model with the weights file `weights`, or else with ImageNet's."""
        on = device(self.device)
        with place(on):
            model, prepare = self._build(weights)
        return _network(self.name, model, prepare, self.input, _digest(model), on)

    def _build(self, weights: Path | None) -> tuple[Any, Callable[[Any], Any]]:
        """Return the model and what prepares its input."""
        make = getattr(keras_on_tensorflow().applications, self.model)
        if weights is not None and not weights.is_file():
            raise AvmitError(f"no file {weights}: {option('visual')} takes a Keras weights file")
        try:
            model = make(
                include_top=False,
                weights=str(weights) if weights is not None else "imagenet",
                pooling="avg",
            )
        except Exception as error:  # Keras, h5py and its HTTP client raise what they like
            if weights is not None:
                raise AvmitError(
                    f"{weights} does not hold the weights of {self.name} ({first_line(error)}): "
                    "take the file without the top that keras.applications names"
                ) from error
            raise AvmitError(
                f"cannot fetch the weights of {self.name} ({first_line(error)}): bring that file, "
                f"and name it with {option('visual')}"
            ) from error
        finalize(model)
        if weights is not None and make.__module__.endswith(".efficientnet"):
            # Keras does this for the ImageNet weights that it fetches, and for no file.
            model = rescaled(model)
        return model, sys.modules[make.__module__].preprocess_input


@dataclass(frozen=True, kw_only=True)
class KerasFile(TensorFlowEncoder):
    """A whole model in a .keras file, which does all preprocessing itself."""

    path: Path
    output: str | None

    def find_weights(self, weights: Path | None) -> Path:
        """Return the file."""
        return self.path

    def code(self) -> Mapping[str, str]:
        """Return digests of the user's classes that may be in the file."""
        return registered_code()

    def load(self, weights: Path | None) -> TensorFlowNetwork:
        """Load the file, without running code that it may hold."""
        on = device(self.device)
        with place(on):
            model = _load(self.path)
        side = _side(model, self.path)
        call = _one_output(model, side, self.path, self.output)
        assert isinstance(self.input, Frames)
        form = replace(self.input, side=side)
        network = _network(self.name, call, as_it_is, form, weights_digest(self.path), on)
        network.found = {**network.found, "input": form}
        return network


def _file(path: Path, settings: Settings) -> KerasFile:
    if path.suffix != ".keras" or not path.is_file():
        raise AvmitError(
            f"no .keras file {path}: keras: takes the name of a model in keras.applications or "
            "the path of what `model.save('x.keras')` wrote"
        )
    form = frames_form(settings, FRAME_SIDE)
    return KerasFile(
        name=f"keras:{path.name}",
        width=0,
        input=form,
        window_ms=0,
        step_ms=form.interval_ms,
        origin=path.name,
        preprocessing="RGB 0 to 255; the rest in the model",
        takes=_TAKES | {"output"},
        facts={} if settings.output is None else {"output": settings.output},
        path=path,
        output=settings.output,
    )


def _load(path: Path) -> Any:
    keras = keras_on_tensorflow()
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it likes
        raise AvmitError(
            f"{path} is no model that Keras can load ({_reason(error)}): write it with "
            "`model.save('x.keras')`, without Lambda layers; a class of your own needs "
            "@keras.saving.register_keras_serializable() in a file that --encoder-module names"
        ) from error


def _side(model: Any, path: Path) -> int:
    """Return the side of the frames that a model takes; FRAME_SIDE where it takes any."""
    shapes = _input_shapes(model)
    if not shapes:
        return FRAME_SIDE
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        raise AvmitError(
            f"{path} takes {' and '.join(map(str, shapes))}: a model of frames "
            "(batch, side, side, 3) is wanted"
        )
    _, height, width, _ = shapes[0]
    if height != width:
        raise AvmitError(f"{path} takes frames of {height} x {width}: they must be square")
    return height or FRAME_SIDE


def _input_shapes(model: Any) -> list[tuple[int | None, ...]]:
    """Return the shapes of a model's inputs, none where it does not tell."""
    try:
        inputs = getattr(model, "inputs", None)  # subclasses of Model and unbuilt ones have none
    except ValueError:  # of Keras 3.0, for an unbuilt Sequential
        inputs = None
    if inputs is not None:
        return [tuple(one.shape) for one in inputs]
    built = (model.get_build_config() or {}) if model.built else {}
    shapes = built["shapes_dict"].values() if "shapes_dict" in built else [built.get("input_shape")]
    listed = [tuple(shape) for shape in shapes if isinstance(shape, list | tuple)]
    return [one for one in listed if all(size is None or isinstance(size, int) for size in one)]


def _one_output(model: Any, side: int, path: Path, wanted: str | None) -> Callable[..., Any]:
    """Return what maps a batch of frames to one of a model's outputs, (batch, width)."""
    tf = require("tensorflow")

    def call(frames: Any, training: bool = False) -> dict[str, Any]:
        return _named(model, model(frames, training=training))

    known = len(model.weights)
    batch = tf.TensorSpec((BATCH, side, side, 3), tf.float32)
    try:
        traced = tf.function(call, autograph=False).get_concrete_function(batch)
        shapes = {name: tuple(one.shape) for name, one in traced.structured_outputs.items()}
    except Exception as error:  # the model's code
        raise AvmitError(
            f"{path} does not take frames (batch, {side}, {side}, 3) ({_reason(error)}): "
            "give the model an Input of the size that it takes, and save it again"
        ) from error
    if len(model.weights) != known:
        raise AvmitError(
            f"{path} was saved before its layers had weights: call the model on frames, and save "
            "it again"
        )
    free = {
        name: tf.TensorSpec((None if shape[:1] == (BATCH,) else shape[0], *shape[1:]))
        for name, shape in shapes.items()
        if shape
    }
    chosen = pick(free, wanted, str(path), "visual")
    if len(shapes[chosen]) != 2 or shapes[chosen][0] != BATCH:
        raise AvmitError(
            f"output {chosen} of {path} is {tuple(free[chosen].shape)}, not (batch, width): "
            "average or flatten it in the model"
        )
    return lambda frames, training: tf.cast(call(frames, training)[chosen], tf.float32)


def _named(model: Any, returned: Any) -> dict[str, Any]:
    """Return outputs by the keys that the model gives them, or by the names of their layers."""
    names = getattr(model, "output_names", ())
    if isinstance(returned, list | tuple) and len({*names}) == len(returned):
        return dict(zip(names, returned, strict=True))
    return by_name(returned)


def _reason(error: Exception) -> str:
    """Return the line that tells what is wrong: Keras prints it bold, below a line of where."""
    bold = re.search(r"\x1b\[1m(.+?)(?:\n|\x1b)", str(error))
    return textwrap.shorten(bold[1] if bold else first_line(error), 300, placeholder=" ...")


def _network(
    name: str, model: Any, prepare: Callable[[Any], Any], form: Any, sha256: str, device: str
) -> TensorFlowNetwork:
    network = FramesNetwork(name, model, prepare, form.side, sha256, device)
    probe = network.encode(np.zeros((1, form.side, form.side, 3), np.uint8))
    network.found = {"width": probe.shape[1]}
    return network


def _digest(model: Any) -> str:
    """Hash a model's values, since Keras does not say which file it fetched."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(f"{value.shape}{value.dtype}\0".encode() + np.ascontiguousarray(value).data)
    return digest.hexdigest()
