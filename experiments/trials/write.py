"""Write lists where they are wanted, over nothing that is there."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from avmit import AvmitError
from conversion.whole import read_regular, write_whole
from conversion.wording import some
from experiments.trials.bids_events import PARTICIPANTS

_LONGEST = 10_000_000  # bytes of a table of participants


@dataclass(frozen=True)
class Written:
    """Whether any file is `new`, and the subjects that the table of participants lacks."""

    new: bool
    unlisted: list[str]


def write_lists(out: Path, files: dict[str, bytes]) -> Written:
    """Write files below `out`.

    All are looked at before the first is written, and each appears whole, so that a run that was
    cut off goes on. A table of participants that others have written to stays.

    Raises:
        AvmitError: a file of such a name has another content, or a folder cannot be written to.
        OSError: the disk is full.
    """
    wanted = dict(files)
    unlisted: list[str] = []
    grows = False
    if PARTICIPANTS in files and os.path.lexists(out / PARTICIPANTS):
        participants = wanted.pop(PARTICIPANTS)
        listed = _read(out / PARTICIPANTS)
        # As it was written for fewer subjects, and by nobody else.
        is_ours = bool(listed) and not (out / PARTICIPANTS).is_symlink()
        grows = is_ours and listed != participants and participants.startswith(listed)
        unlisted = [] if grows else sorted(_first_cells(participants) - _first_cells(listed))
    present = [name for name in wanted if os.path.lexists(out / name)]
    there = {name for name in present if _same(out / name, wanted[name])}
    others = [name for name in present if name not in there]
    if others:
        raise AvmitError(
            f"{out} has other files of these names: {some(others)}: choose another --out"
        )
    try:
        for name, content in wanted.items():
            if name not in there:
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(out / name, content, durable=False)
        if grows:
            write_whole(out / PARTICIPANTS, files[PARTICIPANTS], durable=False)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise AvmitError(
            f"cannot write to {out} ({error.strerror or error}): choose another --out"
        ) from None
    return Written(grows or len(there) < len(wanted), unlisted)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, _LONGEST)
    except OSError:
        return b""


def _first_cells(table: bytes) -> set[str]:
    lines = table.decode("utf-8", "replace").splitlines()
    return {line.partition("\t")[0].strip() for line in lines[1:]}


def _same(path: Path, content: bytes) -> bool:
    try:
        return not path.is_symlink() and read_regular(path, len(content)) == content
    except OSError:
        return False
