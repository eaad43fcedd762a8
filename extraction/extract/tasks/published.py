"""What is published of an extraction, compared with what tasks elsewhere would make."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.package.manifest import NAME, read_manifest
from conversion.parts.agreed import canonical
from extraction.encoders.describe import identity
from extraction.extract.options import Options

_DEVICE = "device"


def published_source(published: Path, here: Mapping[str, Any], options: Options) -> Any:
    """Return the `source` of a published config, if it may be kept; else None.

    It must be what is said `here`, but for devices: tasks have others than where they are started
    from, so that one counts as the same if no other kind of device is asked for.

    Raises:
        AvmitError: the published config has no good manifest.
    """
    if not (published / NAME).is_file():
        return None
    manifest = read_manifest(published)
    if not manifest.extracted or (manifest.bad_records and options.on_bad_video == "error"):
        return None
    there = manifest.source
    expected = json.loads(canonical(identity(here)))
    for modality, encoder in expected["encoders"].items():
        asked = options.encoders[modality].settings.device
        device = there["encoders"].get(modality, {}).get(_DEVICE)
        if _DEVICE in encoder and device is not None and asked in ("auto", device):
            encoder[_DEVICE] = device
    return there if expected == identity(there) else None
