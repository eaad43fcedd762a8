"""Write lists where they are wanted, over nothing that is there."""

import os
from pathlib import Path

from avmit import AvmitError
from conversion.whole import read_regular, write_whole
from conversion.wording import some


def write_lists(out: Path, files: dict[str, bytes]) -> bool:
    """Write files below `out`; tell whether any was not there yet.

    All are looked at before the first is written, and each appears whole, so that a run that was
    cut off goes on.

    Raises:
        AvmitError: a file of such a name has another content, or a folder cannot be written to.
    """
    wanted = {
        name: content
        for name, content in files.items()
        # Whoever has said more of the participants keeps that.
        if not (name == "participants.tsv" and (out / name).exists())
    }
    there: list[str] = []
    others: list[str] = []
    for name, content in wanted.items():
        if os.path.lexists(out / name):
            (there if _same(out / name, content) else others).append(name)
    if others:
        raise AvmitError(
            f"{out} has other files of these names: {some(others)}: choose another --out"
        )
    try:
        for name in wanted.keys() - there:
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, wanted[name], durable=False)
    except OSError as error:
        raise AvmitError(
            f"cannot write to {out} ({error.strerror or error}): choose another --out"
        ) from None
    return len(there) < len(wanted)


def _same(path: Path, content: bytes) -> bool:
    try:
        return not path.is_symlink() and read_regular(path, len(content)) == content
    except OSError:
        return False
