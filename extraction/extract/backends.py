"""Which backend computes each side: a run that is gone on with keeps the one that it began with."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from avmit import AvmitError
from conversion.package.manifest import NAME, read_manifest
from conversion.package.staging import BACKENDS, Staging
from conversion.whole import read_regular, write_whole
from extraction.encoders.base import Side
from extraction.encoders.settings import Modality
from extraction.extract.options import Options

_MOST_BYTES = 100_000  # of the record, which has a hundred
_Named = dict[str, tuple[str, str]]
"""By modality, the name of an encoder and its backend."""


def as_begun(options: Options, staging: Staging) -> Options:
    """Return the options with the backends of the unfinished run, or else of the published config.

    Raises:
        AvmitError: another backend is asked for than an unfinished run's.
    """
    unfinished, folder = _unfinished(staging)
    published = _published(staging)
    encoders = dict(options.encoders)
    for modality, wanted in options.encoders.items():
        asked = wanted.settings.backend
        name, backend = unfinished.get(modality, ("", ""))
        if name and name == wanted.name:
            if asked not in ("auto", backend):
                raise AvmitError(
                    f"--backend {asked}: the unfinished run of '{options.config}' computes {name} "
                    f"by {backend}; leave --backend away to go on with it, or delete {folder}"
                )
        else:
            name, backend = published.get(modality, ("", ""))
        if asked == "auto" and name and name == wanted.name:
            settings = replace(wanted.settings, backend=backend)
            encoders[modality] = replace(wanted, settings=settings)
    return replace(options, encoders=encoders)


def remember(options: Options, sides: Mapping[Modality, Side], staging: Staging) -> None:
    """Write down by which backend each side is computed, for a run that goes on."""
    named = {
        modality: (options.encoders[modality].name, side.encoder.facts["backend"])
        for modality, side in sides.items()
        if "backend" in side.encoder.facts
    }
    write_whole(staging.folder / BACKENDS, json.dumps(named).encode())


def _unfinished(staging: Staging) -> tuple[_Named, Path | None]:
    """Return what the latest unfinished run that finished anything wrote, and its folder."""
    for path in staging.left_of(BACKENDS):
        if path.parent == staging.published or not staging.has_work(path.parent):
            continue
        try:
            return _checked(json.loads(read_regular(path, _MOST_BYTES))), path.parent
        except (OSError, ValueError, TypeError, RecursionError):
            continue
    return {}, None


def _published(staging: Staging) -> _Named:
    if not (staging.published / NAME).is_file():
        return {}
    encoders = read_manifest(staging.published).source.get("encoders", {})
    return _checked(
        {
            modality: (encoder["name"], encoder["backend"])
            for modality, encoder in encoders.items()
            if "backend" in encoder
        }
    )


def _checked(content: Mapping[str, tuple[str, str]]) -> _Named:
    """Return what of it is a backend."""
    return {
        modality: (name, backend)
        for modality, (name, backend) in content.items()
        if backend in ("tensorflow", "onnx")
    }
