"""Find encoders by name: the built-in ones, and those that other packages add.

A package adds an encoder by an entry point in the group `avmit.encoders` that leads to an `Encoder`
and has its name, and a family of them by one in `avmit.encoder_schemes` that leads to a function
of (rest of the name, modality or None, Settings): the entry point `mine` gets `small` when
`mine:small` is asked for, and returns an `Encoder`.
"""

import difflib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from avmit import AvmitError
from extraction.encoder import Encoder
from extraction.encoder_module import added_by_modules
from extraction.encoders.efficientnet import EFFICIENTNET_B0, EFFICIENTNET_B0_CORRECTED
from extraction.encoders.vgg16 import VGG16_ENCODER
from extraction.encoders.vggish import VGGISH
from extraction.encoders.yamnet import YAMNET
from extraction.foreign import explain, no_exit
from extraction.settings import Modality, Settings

GROUP = "avmit.encoders"
SCHEMES_GROUP = "avmit.encoder_schemes"
NONE = Settings()

SCHEMES = {
    "keras": ("extraction.keras_models", "keras_encoder"),
    "saved_model": ("extraction.any_saved_model", "saved_model_encoder"),
    "kaggle": ("extraction.any_saved_model", "kaggle_encoder"),
    "hf": ("extraction.transformers_models", "transformers_encoder"),
}
"""What comes before the colon of a name: the function that returns its encoder, and its module."""

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
        module, function = SCHEMES[scheme]
        encoder: Encoder = getattr(importlib.import_module(module), function)(
            rest, modality, settings
        )
        return encoder
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
