"""A run of ratings with PsychoPy, from a list of `avmit trials --format psychopy`.

    pip install psychopy
    python psychopy_ratings.py lists/sub-01_run-01.csv sub-01_task-avmit_run-01_events.tsv

Shows each clip, waits for a key from 1 to 3, and writes events as BIDS has them, with the onsets
that were measured. Each is written when its key is pressed, so that what was rated stays, whatever
ends the run; Escape does.
"""

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

COLUMNS = ("onset", "duration", "trial_type", "stim_id", "stim_file", "label", "tfrecord_filename")
ANSWERS = ("response", "response_time")
KEYS = ("1", "2", "3")
QUESTION = (
    "Is this {label}?\n\n1: not there\n2: there, not the most prominent\n3: the most prominent"
)


def event(row: dict[str, Any], onset: float, answer: str, seconds: float) -> dict[str, object]:
    """Return what happened in a trial, `seconds` from the clip's onset to the key."""
    return {
        **{column: row.get(column) for column in COLUMNS},
        "onset": round(onset, 4),
        "trial_type": row["condition"],
        "response": answer,
        "response_time": round(seconds, 4),
    }


def write_events(path: Path, events: Iterable[dict[str, object]]) -> None:
    """Write events as they come, over nothing that is there; no file before the first."""
    events = iter(events)
    first = list(islice(events, 1))
    if not first:
        return
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, [*COLUMNS, *ANSWERS], delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE
        )
        writer.writeheader()
        for happened in chain(first, events):
            writer.writerow(happened)
            file.flush()


def show(rows: Sequence[dict[str, Any]], folder: Path, pause: float) -> Iterator[dict[str, object]]:
    """Show a run, and say what happened in each trial; `movie` of a row is seen from `folder`."""
    from psychopy import core, sound, visual
    from psychopy import event as keyboard

    # Before anything is shown: where there is no sound, this is where PsychoPy says so.
    heard = {
        row["movie"]: sound.Sound(str(folder / str(row["movie"])))
        for row in rows
        if row["stim_type"] == "audio"
    }
    window = visual.Window(fullscr=True, color="black", units="height")
    clock = core.Clock()
    for row in rows:
        window.flip()
        core.wait(pause)
        if row["stim_type"] == "audio":
            onset = clock.getTime()
            heard[row["movie"]].play()
            core.wait(heard[row["movie"]].getDuration())
        else:
            movie = visual.MovieStim(window, str(folder / str(row["movie"])), size=None)
            movie.play()
            movie.draw()
            window.flip()
            onset = clock.getTime()  # from here on, the first frame is seen
            while not movie.isFinished:
                movie.draw()
                window.flip()
            movie.unload()
        visual.TextStim(window, QUESTION.format(**row), height=0.04).draw()
        window.flip()
        [(key, at)] = keyboard.waitKeys(keyList=[*KEYS, "escape"], timeStamped=clock)[:1]
        if key == "escape":
            break
        yield event(row, onset, key, at - onset)
    window.close()


def main() -> None:
    """Read the list, show it, write the events."""
    parser = argparse.ArgumentParser(description="Rate the clips of a list with PsychoPy.")
    parser.add_argument("list", type=Path, help="of avmit trials --format psychopy or xlsx")
    parser.add_argument("events", type=Path, help="where the events go")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before each clip")
    options = parser.parse_args()
    if options.events.exists():
        parser.error(f"{options.events} is there: choose another name")
    from psychopy import data

    rows = data.importConditions(str(options.list))
    folder = options.list.parent
    absent = [str(row["movie"]) for row in rows if not (folder / str(row["movie"])).is_file()]
    if absent:
        parser.error(
            f"{len(absent)} of {len(rows)} clips are not there, first {folder / absent[0]}"
        )
    write_events(options.events, show(rows, folder, options.pause))


if __name__ == "__main__":
    main()
