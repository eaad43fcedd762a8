"""What a release says, read here without the code under test, and ways to change a release."""

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.convert.build import Options
from conversion.tfrecord.record import Record, read_record, write_record

CSV = {
    "raw_ratings": "raw_video_ratings.csv",
    "ratings": "video_ratings.csv",
    "test_set": "test_set.csv",
}
SETS = {"vggish_vgg16": "VGGish_VGG16", "yamnet_effnet": "YamNet_EffNetB0"}
DIMS = {"vggish_vgg16": (128, 512), "yamnet_effnet": (1024, 1280)}
CONFIGS = (*CSV, *SETS)
SPLITS = {
    "raw_ratings": ["train"],
    "ratings": ["train"],
    "test_set": ["test"],
    "vggish_vgg16": ["train", "test"],
    "yamnet_effnet": ["train", "test"],
}

Row = Mapping[str, Any]
Matrix = npt.NDArray[np.float32]


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def edit_row(path: Path, index: int, **changes: str) -> dict[str, str]:
    """Change fields of the row with that index, 0 for the first; return it as it was."""
    rows = csv_rows(path)
    before = dict(rows[index])
    rows[index].update(changes)
    write_csv(path, rows)
    return before


def edit_record(path: Path, change: Callable[[Record], Record]) -> None:
    path.write_bytes(write_record(change(read_record(path.read_bytes()))))


def with_extreme_values(release: Path) -> None:
    """Give the first video's records a negative zero, subnormals and the largest floats."""
    name = csv_rows(release / CSV["ratings"])[0]["tfrecord_filename"]
    extremes = np.array([0x80000000, 1, 0x80000001, 0x007FFFFF, 0x7F7FFFFF, 0xFF7FFFFF], np.uint32)

    def change(record: Record) -> Record:
        audio, visual = record.audio.copy(), record.visual.copy()
        audio[0, :6] = visual[-1, -6:] = extremes.view(np.float32)
        return Record(record.filename, record.label, audio, visual)

    for folder in SETS.values():
        edit_record(release / folder / name, change)


def split_names(release: Path, split: str) -> list[str]:
    """The tfrecord_filename of a split's rows, in their order."""
    test = {row["tfrecord_filename"] for row in csv_rows(release / CSV["test_set"])}
    names = [row["tfrecord_filename"] for row in csv_rows(release / CSV["ratings"])]
    return [name for name in names if (name in test) == (split == "test")]


def expected_rows(release: Path, config: str, split: str, folder: str = "") -> list[dict[str, Any]]:
    """The rows that a config's split must have, by the CSVs and the records alone."""
    if config in CSV:
        return [_typed(row) for row in csv_rows(release / CSV[config])]
    ratings = csv_rows(release / CSV["ratings"])
    labels = sorted({row["AVMIT_label"] for row in ratings})
    by_name = {row["tfrecord_filename"]: _typed(row) for row in ratings}
    rows = []
    for name in split_names(release, split):
        row = by_name[name]
        record = read_record((release / (folder or SETS[config]) / name).read_bytes())
        rows.append(
            {
                "filename": row["filename"],
                "label": labels.index(row["AVMIT_label"]),
                "MIT_label": row["MIT_label"],
                "r1": row["r1"],
                "r2": row["r2"],
                "r3": row["r3"],
                "video_location": row["video_location"],
                "tfrecord_filename": name,
                "audio": record.audio,
                "visual": record.visual,
            }
        )
    return rows


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    integers = {"rating", "r1", "r2", "r3"}
    return {name: int(value) if name in integers else value for name, value in row.items()}


def assert_same_rows(actual: Iterable[Row], expected: Iterable[Row]) -> None:
    """Compare rows, their order and their columns' order; arrays bit for bit."""
    found, wanted = list(actual), list(expected)
    assert len(found) == len(wanted)
    for row, want in zip(found, wanted, strict=True):
        assert list(row) == list(want)
        for column, value in want.items():
            if isinstance(value, np.ndarray):
                assert_same_bits(row[column], value)
            else:
                assert row[column] == value


def assert_same_bits(actual: Any, expected: Matrix) -> None:
    array = np.asarray(actual, np.float32)
    assert array.shape == expected.shape
    assert array.tobytes() == expected.tobytes()


def shards(package: Path, config: str, split: str) -> list[Path]:
    return sorted((package / config).glob(f"{split}-*"))


def shard_rows(package: Path, config: str, split: str) -> list[dict[str, Any]]:
    """Read a split from its shards with pyarrow alone."""
    tables = []
    for path in shards(package, config, split):
        if path.suffix == ".parquet":
            tables.append(pq.ParquetFile(path).read())
        else:
            with pa.ipc.open_stream(path.read_bytes()) as reader:
                tables.append(reader.read_all())
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return rows


def visible(folder: Path) -> dict[str, bytes]:
    """All files a user sees below a folder, with their bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            found[name.as_posix()] = path.read_bytes()
    return found


def write_set(
    release: Path, folder: str, dims: tuple[int, int], seed: int = 0, label: str = "AVMIT_label"
) -> Path:
    """Write a set of random records of other widths beside the release's own; return its folder."""
    generator = np.random.default_rng(seed)
    root = release / folder
    for row in csv_rows(release / CSV["ratings"]):
        audio, visual = (
            generator.standard_normal((int(generator.integers(1, 5)), dim), dtype=np.float32)
            for dim in dims
        )
        path = root / row["tfrecord_filename"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_record(Record(row["filename"], row[label], audio, visual)))
    return root


def sharded_options(**changes: Any) -> Options:
    """Options that cut 32 videos of VGGish and VGG16 into two shards."""
    return Options(workers=1, max_shard_bytes=260_000, **changes)
