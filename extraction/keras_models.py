"""`keras:` encoders: any model of keras.applications by its name, or a .keras file by its path."""

import difflib
import hashlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avmit import AvmitError
from conversion.wording import first_line
from extraction.encoder import Encoder, Network, weights_digest
from extraction.encoders.efficientnet import rescaled
from extraction.extra import require
from extraction.inputs import frames_form
from extraction.keras_frames import FramesNetwork
from extraction.media import FRAME_SIDE
from extraction.outputs import pick
from extraction.settings import Modality, Settings, option

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

_TAKES = frozenset({"interval_ms"})


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
    applications = require("keras").applications
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
class KerasApplication(Encoder):
    """A model of keras.applications with its own preprocessing and `pooling="avg"`."""

    model: str

    def load(self, weights: Path | None) -> Network:
        """Build the model with the weights file `weights`, or else with ImageNet's."""
        require("tensorflow")
        make = getattr(require("keras").applications, self.model)
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
        for layer in model.layers:
            # Some Keras 3 go on normalising with 0 and 1 after a mean and variance are loaded.
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()
        if weights is not None and make.__module__.endswith(".efficientnet"):
            # Keras does this for the ImageNet weights that it fetches, and for no file.
            model = rescaled(model)
        prepare = sys.modules[make.__module__].preprocess_input
        return _network(model, prepare, self.input, _digest(model))


@dataclass(frozen=True, kw_only=True)
class KerasFile(Encoder):
    """A whole model in a .keras file, which does all preprocessing itself."""

    path: Path
    output: str | None

    def load(self, weights: Path | None) -> Network:
        """Load the file, without running code that it may hold."""
        require("tensorflow")
        model, _ = _load(self.path, self.output)
        return _network(model, _as_it_is, self.input, weights_digest(self.path))


def _file(path: Path, settings: Settings) -> KerasFile:
    if path.suffix != ".keras" or not path.is_file():
        raise AvmitError(
            f"no .keras file {path}: keras: takes the name of a model in keras.applications or "
            "the path of what `model.save('x.keras')` wrote"
        )
    require("tensorflow")
    _, side = _load(path, settings.output)
    form = frames_form(settings, side)
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


def _load(path: Path, output: str | None) -> tuple[Callable[..., Any], int]:
    """Return a model that gives one output, (N, width), and the side of its frames."""
    keras = require("keras")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it likes
        raise AvmitError(
            f"{path} is no model that Keras can load ({first_line(error)}): write it with "
            "`model.save('x.keras')`, without custom or Lambda layers"
        ) from error
    shapes = [tuple(one.shape) for one in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        raise AvmitError(
            f"{path} takes {' and '.join(map(str, shapes))}: a model of frames "
            "(batch, side, side, 3) is wanted"
        )
    _, height, width, _ = shapes[0]
    if height != width:
        raise AvmitError(f"{path} takes frames of {height} x {width}: they must be square")
    named = dict(zip(model.output_names, model.outputs, strict=True))
    chosen = pick(named, output, str(path), "visual")
    if len(named[chosen].shape) != 2:
        raise AvmitError(
            f"output {chosen} of {path} is {tuple(named[chosen].shape)}, not (batch, width): "
            "average or flatten it in the model"
        )
    single = keras.Model(model.inputs, named[chosen])
    return single, height or FRAME_SIDE


def _as_it_is(frames: Any) -> Any:
    return frames


def _network(model: Any, prepare: Callable[[Any], Any], form: Any, sha256: str) -> Network:
    network = FramesNetwork(model, prepare, form.side, sha256)
    probe = network.encode(np.zeros((1, form.side, form.side, 3), np.uint8))
    network.found = {"width": probe.shape[1]}
    return network


def _digest(model: Any) -> str:
    """Hash a model's values, since Keras does not say which file it fetched."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(f"{value.shape}{value.dtype}\0".encode() + np.ascontiguousarray(value).data)
    return digest.hexdigest()
