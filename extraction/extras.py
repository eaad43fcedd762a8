"""Import what only an extra of this package installs, at the moment it is needed."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from avmit import AvmitError

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
        with _quiet() if greets else nullcontext():
            return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise AvmitError(
            f"{missing} is not installed or does not load: "
            f"pip install 'avmit[{'media' if module in _MEDIA else extra}]'"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off stderr the lines with which TensorFlow greets, for which it has no setting."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Off by default on CPUs without AVX-512, and even there twice as fast for EfficientNetB0.
    os.environ.setdefault(ONEDNN, "1")
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
