"""From a user's own copy of the videos to an embedding config: what `avmit extract` runs.

What an encoder module needs stands here: `from extraction import Frames, encoder`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extraction.encoders.custom import encoder as encoder
    from extraction.encoders.settings import Settings as Settings
    from extraction.media.forms import Clips as Clips
    from extraction.media.forms import Frames as Frames
    from extraction.media.forms import Sound as Sound

__all__ = ["Clips", "Frames", "Settings", "Sound", "encoder"]

_PLACES = {
    "Clips": "extraction.media.forms",
    "Frames": "extraction.media.forms",
    "Settings": "extraction.encoders.settings",
    "Sound": "extraction.media.forms",
    "encoder": "extraction.encoders.custom",
}


def __getattr__(name: str) -> Any:
    # Not imported before they are asked for: the command line starts here.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
