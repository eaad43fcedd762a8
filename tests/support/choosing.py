"""Videos to choose from, with ratings, classes and sources as the released ones have them."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import datasets

import avmit

COLUMNS = ("filename", "actual_label", "r1", "r2", "r3", "label", "video_location")


def clip(folder: str, source: str, second: int) -> str:
    """Name a clip as Moments in Time does."""
    return f"{folder}/yt-{source}_{second}.mp4"


def rated(videos: Sequence[tuple[str, str, int]], names: Sequence[str] | None = None) -> Any:
    """Return rows in memory of videos that are given as (filename, class, r3)."""
    classes = sorted({label for _, label, _ in videos}) if names is None else list(names)
    features = datasets.Features(
        {
            "filename": datasets.Value("string"),
            "label": datasets.ClassLabel(names=classes),
            "r3": datasets.Value("int64"),
        }
    )
    columns = {
        "filename": [name for name, _, _ in videos],
        "label": [classes.index(label) for _, label, _ in videos],
        "r3": [r3 for _, _, r3 in videos],
    }
    return datasets.Dataset.from_dict(columns, features)


def paper_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Write embedding rows as the authors' CSV of a choice."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "tfrecord_filename"])
    for row in rows:
        folder, stem = row["filename"].removesuffix(".mp4").split("/")
        said = [row["filename"], folder, 0, 1, row["r3"], row["label"], "MIT_training"]
        writer.writerow([*said, f"{row['label']}/{stem}.tfrecord"])
    return text.getvalue().encode()


def chosen_rows(ds: Any, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return some rows' filename, r3 and label, by its name."""
    names = ds.features["label"].names
    small = ds.select(numbers).select_columns(["filename", "label", "r3"])
    return [{**row, "label": names[row["label"]]} for row in small.to_list()]


def message(call: Any, *arguments: Any, **options: Any) -> str:
    """Return what the error says that a call raises, which is one line."""
    try:
        call(*arguments, **options)
    except avmit.AvmitError as error:
        assert "\n" not in str(error)
        return str(error)
    raise AssertionError("nothing was raised")
