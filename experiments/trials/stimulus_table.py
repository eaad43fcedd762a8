"""The stimuli that trials are made of, as `avmit stimuli` has written them down."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avmit import AvmitError
from experiments.bids import NOT_AVAILABLE, read_tsv

FOLDER = "stimuli"
TABLE, ROWS = "stimuli.tsv", "rows.tsv"

_NEEDED = ("stimulus_id", "filename", "label", "condition", "clip", "duration", "present", "type")


@dataclass(frozen=True)
class Shown:
    """A stimulus, by what stimuli.tsv and rows.tsv say of it; `duration` in seconds.

    `present` is whether its file is there.
    """

    stimulus_id: str
    filename: str
    type: str
    label: str
    condition: str
    clip: str
    duration: float
    present: bool
    tfrecord_filename: str


@dataclass(frozen=True)
class Stock:
    """What there is to be shown: of each label the clips, of each clip a stimulus a condition.

    `left_out` counts the clips that lack one of the conditions.
    """

    conditions: list[str]
    clips: dict[str, list[dict[str, Shown]]]
    left_out: int

    @property
    def absent(self) -> int:
        """Count the stimuli whose files are not there."""
        shown = (s for clips in self.clips.values() for clip in clips for s in clip.values())
        return sum(not stimulus.present for stimulus in shown)


def read_stock(folder: Path, conditions: Sequence[str] = ()) -> Stock:
    """Read the stimuli of these conditions, by default of all, in the folder or its `stimuli`.

    Raises:
        AvmitError: there is no table, it is not one of `avmit stimuli`, it has no such condition,
            or no clip has all of them.
    """
    folder = stimulus_folder(folder)
    path = folder / TABLE
    keys = {row["stimulus_id"]: row for row in read_tsv(folder / ROWS, ["stimulus_id"])}
    found: dict[str, dict[str, dict[str, Shown]]] = defaultdict(lambda: defaultdict(dict))
    there: dict[str, None] = {}
    for row in read_tsv(path, _NEEDED):
        there.setdefault(row["condition"])
        if not conditions or row["condition"] in conditions:
            shown = _shown(row, keys.get(row["stimulus_id"], {}), path)
            found[shown.label][shown.clip][shown.condition] = shown
    for condition in conditions:
        if condition not in there:
            raise AvmitError(f"--condition {condition}: {path} has {', '.join(there)}")
    wanted = [condition for condition in there if not conditions or condition in conditions]
    clips = {
        label: [by for by in of_label.values() if len(by) == len(wanted)]
        for label, of_label in found.items()
    }
    total = sum(map(len, found.values()))
    left_out = total - sum(map(len, clips.values()))
    for label, whole in clips.items():
        if not whole:
            raise AvmitError(f"{path}: no clip of '{label}' has all of {', '.join(wanted)}")
    if not clips:
        raise AvmitError(f"{path} has no rows: make stimuli with `avmit stimuli`")
    return Stock(wanted, clips, left_out)


def stimulus_folder(folder: Path) -> Path:
    """Return the folder that holds stimuli.tsv.

    Raises:
        AvmitError: there is none.
    """
    for place in (folder, folder / FOLDER):
        if (place / TABLE).is_file():
            return place
    raise AvmitError(f"no {TABLE} in {folder}: make stimuli with `avmit stimuli --out {folder}`")


def dataset_folder(stimuli: Path) -> Path:
    """Return the dataset that lists go to: the folder given, or the one around its `stimuli`."""
    named = stimuli if stimuli.name else stimuli.absolute()
    return named.parent if named.name == FOLDER and (named / TABLE).is_file() else stimuli


def _shown(row: dict[str, str], keys: dict[str, str], path: Path) -> Shown:
    try:
        duration = float(row["duration"])
    except ValueError:
        duration = math.nan
    if not (math.isfinite(duration) and duration >= 0):
        raise AvmitError(
            f"{path}: duration of {row['stimulus_id']} is '{row['duration']}', not seconds"
        )
    return Shown(
        row["stimulus_id"],
        row["filename"],
        row["type"],
        row["label"],
        row["condition"],
        row["clip"],
        duration,
        row["present"] == "true" and (path.parent / row["filename"]).is_file(),
        keys.get("tfrecord_filename", NOT_AVAILABLE),
    )
