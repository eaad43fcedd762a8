"""Which backend computes each side: a run that is gone on with keeps the one that it began with."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.package.manifest import NAME, read_manifest
from conversion.package.staging import BACKENDS, Staging
from conversion.whole import read_regular, write_whole
from extraction.encoders.base import Side
from extraction.encoders.settings import Backend, Modality
from extraction.extract.options import Encoders, Options

_MOST_BYTES = 100_000  # of the record, which has a hundred
_Named = Mapping[str, tuple[str, str]]
"""By modality, the name of an encoder and its backend."""


def as_begun(encoders: Encoders, options: Options, staging: Staging) -> Encoders:
    """Return the encoders with the backends of the unfinished run, or else of the published config.

    Raises:
        AvmitError: another backend is asked for than an unfinished run's.
    """
    record = staging.begun(BACKENDS)
    unfinished = {} if record is None else _read(record)
    published = _of_source(_source(staging.published))
    begun: Encoders = {}
    for modality, encoder in encoders.items():
        begun[modality] = encoder
        if "backend" not in encoder.takes:
            continue
        settings = options.encoders[modality].settings
        before = _of(unfinished, modality, encoder.name)
        if before and record and settings.backend not in ("auto", before):
            raise AvmitError(
                f"--backend {settings.backend}: the unfinished run of '{options.config}' computes "
                f"{encoder.name} by {before}; leave --backend away to go on with it, or delete "
                f"{record.parent}"
            )
        before = before or _of(published, modality, encoder.name)
        if before and settings.backend == "auto":
            begun[modality] = encoder.configured(replace(settings, backend=before))
    return begun


def as_agreed(
    encoders: Encoders, options: Options, source: Mapping[str, Any] | None, published: Path
) -> Encoders:
    """Return the encoders with the backends of a manifest's `source`, or else of what is published,
    where none is asked for.
    """
    before = _of_source(_source(published) if source is None else source)
    agreed: Encoders = {}
    for modality, encoder in encoders.items():
        settings = options.encoders[modality].settings
        backend = _of(before, modality, encoder.name)
        agreed[modality] = encoder
        if backend is not None and "backend" in encoder.takes and settings.backend == "auto":
            agreed[modality] = encoder.configured(replace(settings, backend=backend))
    return agreed


def remember(sides: Mapping[Modality, Side], staging: Staging) -> None:
    """Write down by which backend each side is computed, for a run that goes on."""
    named = {
        modality: (side.encoder.name, side.encoder.facts["backend"])
        for modality, side in sides.items()
        if "backend" in side.encoder.takes
    }
    write_whole(staging.folder / BACKENDS, json.dumps(named).encode())


def _read(record: Path) -> _Named:
    try:
        content = json.loads(read_regular(record, _MOST_BYTES))
        return {modality: (name, backend) for modality, (name, backend) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}  # nothing of ours


def _source(folder: Path) -> Mapping[str, Any]:
    return read_manifest(folder).source if (folder / NAME).is_file() else {}


def _of_source(source: Mapping[str, Any]) -> _Named:
    return {
        modality: (encoder["name"], encoder.get("backend", ""))
        for modality, encoder in source.get("encoders", {}).items()
    }


def _of(named: _Named, modality: Modality, encoder: str) -> Backend | None:
    """Return the backend that a side's encoder had."""
    name, backend = named.get(modality, ("", ""))
    known: tuple[Backend, ...] = ("tensorflow", "onnx")
    return next((one for one in known if name == encoder and backend == one), None)
