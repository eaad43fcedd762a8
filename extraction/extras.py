"""Import what only an extra of this package installs, at the moment it is needed."""

import importlib
import os
import sys
from contextlib import nullcontext
from typing import Any

from avmit import AvmitError
from conversion.quiet import quiet

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""Which of its kernels TensorFlow takes when it is imported; the last bits of results differ."""


_MEDIA = {"av", "cv2"}


def require(module: str, extra: str = "extraction") -> Any:
    """Import `module`, which the named extra installs, or `media` if that suffices.

    Raises:
        AvmitError: it is not installed; the text has the pip command.
    """
    if module == "onnxruntime":
        # Since 1.29 it tells Microsoft of models and runs, unless this is set before its import.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        greets = module in ("tensorflow", "keras") and "tensorflow" not in sys.modules
        if greets:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            # Off by default on CPUs without AVX-512; EfficientNetB0 is twice as fast with it.
            os.environ.setdefault(ONEDNN, "1")
        with quiet() if greets else nullcontext():
            return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise AvmitError(
            f"{missing} is not installed or does not load: "
            f"pip install 'avmit[{'media' if module in _MEDIA else extra}]'"
        ) from error
