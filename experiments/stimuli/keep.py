"""Files of a folder of stimuli: what is there and good, making what is not, and nothing else."""

import json
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from conversion.whole import PART, new_file, read_regular, write_whole
from experiments.bids import json_bytes
from experiments.stimuli.media.facts import file_sha256
from experiments.stimuli.media.opened import BadClip

_LONGEST_SIDECAR = 1_000_000


def sidecar_name(filename: str) -> str:
    """Return the name of the JSON beside a stimulus' file."""
    return filename.rpartition(".")[0] + ".json"


def kept(
    folder: Path, filename: str, expected: dict[str, Any], link: Path | None, present: bool
) -> dict[str, Any] | None:
    """Return a stimulus' sidecar if it says what is `expected` and the file is what it says.

    `link` is where the file is to lead, if it is to be a link; with `present` false there is none.
    """
    path = folder / filename
    try:
        sidecar = json.loads(read_regular(folder / sidecar_name(filename), _LONGEST_SIDECAR))
        if not isinstance(sidecar, dict) or not expected.items() <= sidecar.items():
            return None
        if not present:
            return None if os.path.lexists(path) else sidecar
        if (path.readlink() if path.is_symlink() else None) != link:
            return None
        return sidecar if file_sha256(path) == sidecar.get("SHA256") else None
    except (OSError, ValueError, BadClip):
        return None


def new_path(folder: Path) -> Path:
    """Make an empty file of a name of its own in `folder`, for a decoder to write to."""
    folder.mkdir(parents=True, exist_ok=True)
    path, file = new_file(folder)
    file.close()
    return path


def new_link(folder: Path, target: Path) -> Path:
    """Make a link of a name of its own in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / f".avmit-{secrets.token_hex(8)}.part"
        try:
            path.symlink_to(target)
        except FileExistsError:
            continue
        return path


def put(made: Path, folder: Path, filename: str, sidecar: dict[str, Any], present: bool) -> None:
    """Give a stimulus that is made its name, the sidecar last."""
    if present:
        made.replace(folder / filename)
    else:
        made.unlink()
    write_whole(folder / sidecar_name(filename), json_bytes(sidecar), durable=False)


def clean(folder: Path, wanted: Collection[str]) -> None:
    """Delete from a folder of work all that is not `wanted`, which earlier runs have left there."""
    for root, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(root, name)
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):
                    path.rmdir()  # where it is empty
            elif path.relative_to(folder).as_posix() not in wanted:
                path.unlink()


def others(folder: Path, wanted: Collection[str]) -> list[str]:
    """Return the names of files in a folder that are neither `wanted` nor ours for a moment."""
    found = []
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(root, name).relative_to(folder).as_posix()
            if path not in wanted and not PART.fullmatch(name):
                found.append(path)
    return found
