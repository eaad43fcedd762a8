"""Where weights are kept: of tasks on many machines, in one folder that all of them see."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from avmit import AvmitError

FOLDER = "AVMIT_WEIGHTS"
"""Names the folder of weights to tasks, for which nothing is fetched."""

_OFFLINE = "HF_HUB_OFFLINE"
_CACHES = {
    # What stands first is set; any of them is heeded where the user has set it.
    ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"): "huggingface",
    ("KAGGLEHUB_CACHE",): "kaggle",
    ("KERAS_HOME",): "keras",
    ("TORCH_HOME",): "torch",
    ("AVMIT_CACHE",): "avmit",
}
"""The variables by which libraries, and the cache of exported networks, are told their folders."""


def kept_in(folder: Path, environment: Mapping[str, str], *, all_of_it: bool) -> dict[str, str]:
    """Return the variables by which everything is fetched into a folder.

    Unless `all_of_it` is to go there, caches that `environment` names already stay where they are.
    """
    found = {}
    for names, below in _CACHES.items():
        given = {name: environment[name] for name in names if environment.get(name)}
        if all_of_it or not given:
            found[names[0]] = str(folder.absolute() / below)
        else:
            found.update(given)
    return found


def for_tasks(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of tasks, which find there what was fetched, and fetch nothing."""
    return {**variables, FOLDER: str(folder.absolute()), _OFFLINE: "1"}


def check_seen() -> None:
    """Check that a task sees the folder of the weights.

    Raises:
        AvmitError: it does not.
    """
    folder = os.environ.get(FOLDER)
    if folder and not Path(folder).is_dir():
        raise AvmitError(
            f"{socket.gethostname()} does not see {folder}, into which the weights were fetched: "
            "name a --weights-folder on a disk that all nodes see"
        )


def nothing_is_fetched() -> bool:
    """Tell whether this is a task, which is to find all weights where they were fetched."""
    return bool(os.environ.get(FOLDER))


def kept_by_kaggle(handle: str) -> Path | None:
    """Return the newest version of a model that kagglehub has kept; it would ask which it is."""
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub").expanduser()
    model = cache / "models" / handle
    versions = [int(one.stem) for one in model.glob("*.complete") if one.stem.isdigit()]
    there = [model / str(version) for version in sorted(versions, reverse=True)]
    return next((folder for folder in there if folder.is_dir()), None)
