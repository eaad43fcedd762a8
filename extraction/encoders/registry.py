"""Find encoders by name: the built-in ones, and those that other packages add.

A package adds an encoder by an entry point in the group `avmit.encoders` that leads to an `Encoder`
and has its name, and a family of them by one in `avmit.encoder_schemes` that leads to a function
of (rest of the name, modality or None, Settings): the entry point `mine` gets `small` when
`mine:small` is asked for, and returns an `Encoder`.
"""

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from avmit import AvmitError
from extraction.encoders.base import Encoder
from extraction.encoders.foreign import explain, no_exit
from extraction.encoders.onnx.models import onnx_encoder
from extraction.encoders.settings import Modality, Settings
from extraction.encoders.tensorflow.keras import keras_encoder
from extraction.encoders.tensorflow.published import (
    EFFICIENTNET_B0,
    EFFICIENTNET_B0_CORRECTED,
    VGG16_ENCODER,
    VGGISH,
    YAMNET,
)
from extraction.encoders.tensorflow.saved_model import kaggle_encoder, saved_model_encoder
from extraction.encoders.transformers.models import transformers_encoder

GROUP = "avmit.encoders"
SCHEMES_GROUP = "avmit.encoder_schemes"
NONE = Settings()

SCHEMES = {
    "keras": keras_encoder,
    "saved_model": saved_model_encoder,
    "kaggle": kaggle_encoder,
    "onnx": onnx_encoder,
    "hf": transformers_encoder,
}
"""What comes before the colon of a name, and the function that returns its encoder."""

BUILT_IN: dict[str, Encoder] = {
    encoder.name: encoder
    for encoder in (VGGISH, YAMNET, VGG16_ENCODER, EFFICIENTNET_B0, EFFICIENTNET_B0_CORRECTED)
}


def find(
    name: str, modality: Modality | None, settings: Settings = NONE, modules: Sequence[Path] = ()
) -> Encoder:
    """Return the encoder of that name, with the settings that it takes; `modules` have more.

    Raises:
        AvmitError: there is none, it is of the other modality, or the package that has it is
            broken.
    """
    encoder = _find(name, modality, settings, added_by_modules(modules))
    if modality is not None and encoder.modality != modality:
        raise AvmitError(
            f"--{modality} {name}: that is {_article(encoder.modality)} encoder; "
            f"choose from {', '.join(names(modality))}, none"
        )
    return encoder.configured(settings)


def _find(
    name: str, modality: Modality | None, settings: Settings, more: Mapping[str, Encoder]
) -> Encoder:
    if name in more:
        return more[name]
    scheme, colon, rest = name.partition(":")
    schemes = {point.name: point for point in entry_points(group=SCHEMES_GROUP)}
    if colon and scheme in SCHEMES:
        return SCHEMES[scheme](rest, modality, settings)
    if colon and scheme in schemes:
        return _made(schemes[scheme], rest, modality, settings)
    if name in BUILT_IN:
        return BUILT_IN[name]
    added = _added()
    if name in added:
        return _load_encoder(added[name])
    known = [*BUILT_IN, *added, *more, *(f"{scheme}:..." for scheme in [*SCHEMES, *schemes])]
    if colon:
        every = [*SCHEMES, *schemes]
        near = [f"{one}:{rest}" for one in difflib.get_close_matches(scheme.lower(), every, 1)]
    else:
        near = difflib.get_close_matches(name.lower(), known, 1, cutoff=0.4)
    meant = f"did you mean '{near[0]}'? " if near else ""
    raise AvmitError(f"no encoder '{name}': {meant}There are: {', '.join(known)}, none")


def names(modality: Modality) -> list[str]:
    """Name the encoders of a modality, the built-in ones first; broken packages are passed over."""
    return [e.name for e in encoders() if not isinstance(e, str) and e.modality == modality]


def encoders() -> Iterator[Encoder | str]:
    """Yield every encoder, and in place of one whose package is broken a line that says so."""
    yield from BUILT_IN.values()
    for point in _added().values():
        try:
            yield _load_encoder(point)
        except AvmitError as error:
            yield str(error)


def _added() -> dict[str, EntryPoint]:
    """Return what other packages add; a built-in name stays with the built-in encoder."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def _load_encoder(point: EntryPoint) -> Encoder:
    encoder = _load(point)
    if not isinstance(encoder, Encoder) or encoder.name != point.name:
        raise AvmitError(
            f"{point.value} is not an Encoder named '{point.name}': mend the entry point, "
            f"or uninstall {_package(point)}"
        )
    return encoder


def _made(point: EntryPoint, rest: str, modality: Modality | None, settings: Settings) -> Encoder:
    """Return the encoder that a package's scheme has for the rest of a name."""
    name = f"{point.name}:{rest}"
    encoder = _run(point, name, lambda: _load(point)(rest, modality, settings))
    if not isinstance(encoder, Encoder):
        raise AvmitError(
            f"{point.value} gives no Encoder for '{name}': mend the entry point, "
            f"or uninstall {_package(point)}"
        )
    return encoder


def _load(point: EntryPoint) -> Any:
    return _run(point, point.name, point.load)


def _run(point: EntryPoint, name: str, call: Callable[[], Any]) -> Any:
    """Call what another package has."""
    try:
        with no_exit(_package(point)):
            return call()
    except AvmitError:
        raise
    except Exception as error:  # another package's code
        raise AvmitError(
            f"the encoder '{name}' of {_package(point)} does not load ({explain(error)}): "
            "mend or uninstall that package"
        ) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def _article(modality: Modality) -> str:
    return "an audio" if modality == "audio" else "a visual"


def added_by_modules(paths: Sequence[Path]) -> dict[str, Encoder]:
    """Run Python files and return the encoders that they define, by name.

    A file may also define none and register classes with Keras, for models in .keras files.

    Raises:
        AvmitError: a file is missing or broken, defines nothing of these, or two have one name.
    """
    found: dict[str, Encoder] = {}
    for path in paths:
        module = _imported(path)
        encoders = [one for one in vars(module).values() if isinstance(one, Encoder)]
        if not encoders and not _registers_with_keras(module):
            raise AvmitError(
                f"{path} defines no encoder: put @encoder(...) of extraction over a "
                "function or a class"
            )
        for encoder in encoders:
            if found.setdefault(encoder.name, encoder) is not encoder:
                raise AvmitError(
                    f"two encoders are named '{encoder.name}': rename the one in {path}"
                )
    return found


def _registers_with_keras(module: ModuleType) -> bool:
    keras = sys.modules.get("keras")
    if keras is None:
        return False
    registered = keras.saving.get_custom_objects().values()
    return any(getattr(one, "__module__", None) == module.__name__ for one in registered)


def _imported(path: Path) -> ModuleType:
    # The same file is one module, however often it is asked for.
    name = f"avmit_encoder_module_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise AvmitError(f"no file {path}: --encoder-module takes a Python file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AvmitError(f"{path} is no Python file: --encoder-module takes one, such as mine.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with no_exit(str(path)):
            spec.loader.exec_module(module)
    except AvmitError:
        del sys.modules[name]
        raise
    except Exception as error:  # the user's code
        del sys.modules[name]
        raise AvmitError(f"{path} does not run ({explain(error)}): mend it") from error
    return module
