"""Say in lines what is known of a video."""

from collections.abc import Iterator

from experiments.show.video import Row, Video

_FIRST = ("filename", "tfrecord_filename", "new_filename", "label", "MIT_label", "video_location")
_COUNTS = ("r1", "r2", "r3")
_SOUND = {None: "not told here: `avmit silent` lists the silent", True: "none", False: "yes"}
_MOST = 10
"""How many other clips of a source are named."""


def lines_of(video: Video) -> list[str]:
    """Return what is known, an item a line."""
    return [f"{name + ':' if name else '':<19}{text}" for name, text in _items(video)]


def _items(video: Video) -> Iterator[tuple[str, str]]:
    columns = {name: value for name, value in video.columns.items() if value is not None}
    for name in _FIRST:
        if name in columns:
            yield name, str(columns[name])
    counts = [f"{name} {columns[name]}" for name in _COUNTS if name in columns]
    if counts:
        yield "ratings", ", ".join(counts)
    if video.ratings:
        yield "raw_ratings", " ".join(map(str, video.ratings)) + " (in the order of the file)"
    for name, value in columns.items():
        if name not in (*_FIRST, *_COUNTS):
            yield name, str(value)
    if video.test_stimulus is not None:
        yield "test stimulus", "yes" if video.test_stimulus else "no"
    yield "sound", _SOUND[video.silent]
    yield "source video", video.source
    others = video.siblings
    for number, other in enumerate(others[:_MOST]):
        label = f" ({other.label})" if other.label else ""
        yield "" if number else "its other clips", other.filename + label
    if len(others) > _MOST:
        yield "", f"and {len(others) - _MOST:,} more"
    if not others:
        yield "its other clips", "none here"
    for number, row in enumerate(video.rows):
        yield "" if number else "rows", _place(row)
    if video.without_row:
        yield "no row in", ", ".join(video.without_row)


def _place(row: Row) -> str:
    shapes = [f"{name} ({steps}, {width})" for name, (steps, width) in row.shapes.items()]
    heard = {None: [], True: ["has_audio"], False: ["no audio stream"]}[row.has_audio]
    return ", ".join([f"{row.config} {row.split} {row.row:,}", *shapes, *heard])
