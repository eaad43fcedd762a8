"""Import what the core does not bring, at the moment it is needed."""

import importlib
import os
import sys
from contextlib import nullcontext
from typing import Any

from avmit import AvmitError
from conversion.quiet import quiet


def require(module: str, wanted_by: str, install: str | None = None) -> Any:
    """Import `module`.

    Raises:
        AvmitError: it is not installed; the text has the pip command.
    """
    # UMAP imports TensorFlow where that is installed.
    greets = module in ("tensorflow", "keras", "umap") and "tensorflow" not in sys.modules
    if greets:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet() if greets else nullcontext():
            return importlib.import_module(module)
    except (ImportError, OSError) as error:  # the latter of a shared library that is not there
        package = (getattr(error, "name", None) or module).split(".")[0]
        raise AvmitError(
            f"{wanted_by} needs {package}, which is not installed or does not load: "
            f"pip install {install or package}"
        ) from error
