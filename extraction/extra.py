"""Import what only the [extraction] extra installs, at the moment it is needed."""

import importlib
import os
import sys
from typing import Any

from avmit import AvmitError

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""Which of its kernels TensorFlow takes when it is imported; the last bits of results differ."""


def require(module: str, extra: str = "extraction") -> Any:
    """Import `module`, which the named extra of this package installs.

    Raises:
        AvmitError: it is not installed; the text has the pip command.
    """
    if "tensorflow" not in sys.modules:
        # TensorFlow otherwise greets every command with lines of its own on stderr.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # Off by default on CPUs without AVX-512, and even there twice as fast for EfficientNetB0.
        os.environ.setdefault(ONEDNN, "1")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise AvmitError(
            f"{missing} is not installed or does not load: pip install 'avmit[{extra}]'"
        ) from error
