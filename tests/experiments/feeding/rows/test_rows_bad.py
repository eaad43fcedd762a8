"""What `avmit.rows` cannot give is refused in one line that says what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from support.feeding import SOME, in_memory, made_rows, made_table
from support.hostile import written

import avmit

THERE = "filename, label, MIT_label, r1, r2, r3, video_location, tfrecord_filename, audio, visual"
NOT_ROWS = "give what avmit.load, load_dataset, avmit.select or avmit.join return"


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(avmit.AvmitError) as error:
        call()
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("make", [avmit.rows, avmit.batches])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"columns": "label"},
            "columns='label' is a string, not a list of names: columns=(\"label\",) says that",
        ),
        (
            {"columns": "audio"},
            "columns='audio' is a string, not a list of names: audio=, visual= say that",
        ),
        (
            {"columns": ["audio"]},
            "'audio' holds embeddings, which come by themselves; leave them out with audio=False "
            "or visual=False",
        ),
        (
            {"columns": ["lable"]},
            f"no column 'lable' in these rows; there are: {THERE}; say which with columns=",
        ),
        (
            {"columns": ["r1\x1b[2J"]},
            f"no column 'r1\\x1b[2J' in these rows; there are: {THERE}; say which with columns=",
        ),
        ({"columns": ["r1", "label", "r1"]}, "columns names 'r1' twice"),
        ({"columns": None}, "columns=None is not a list of names"),
        ({"columns": 3}, "columns=3 is not a list of names"),
    ],
)
def test_columns(make: Any, options: dict[str, Any], said: str) -> None:
    assert refused(lambda: make(in_memory(SOME), **options)) == said


@pytest.mark.parametrize("config", ["ratings", "raw_ratings", "test_set"])
def test_a_config_without_embeddings(package: Path, config: str) -> None:
    ds = avmit.load(config, data_dir=package)
    one = next(iter(ds.values()))
    assert refused(lambda: avmit.rows(one)) == (
        f"no column 'audio' in these rows ({', '.join(one.column_names)}): pass audio=False"
    )


def test_a_modality_that_was_not_loaded(package: Path) -> None:
    ds = avmit.load("vggish_vgg16", "test", columns=["visual", "label"], data_dir=package)
    assert refused(lambda: avmit.batches(ds)) == (
        "no column 'audio' in these rows (visual, label): pass audio=False"
    )
    assert len(avmit.rows(ds, audio=False)) == 16


def test_a_modality_of_another_type() -> None:
    table = pa.table({"audio": pa.array([[[1.0]]]), "label": [0]})
    assert refused(lambda: avmit.rows(datasets.Dataset(table), visual=False)) == (
        "column 'audio' is list<item: list<item: double>>, not float32 arrays (T, D): pass "
        "audio=False, or features= to map if that made it so"
    )


def test_what_has_no_rows(package: Path) -> None:
    ds = avmit.load("vggish_vgg16", data_dir=package)
    said = "these are splits, train, test: give one of them, such as ds['train']"
    assert refused(lambda: avmit.rows(ds)) == said
    assert refused(lambda: avmit.batches(ds)) == said
    streams = avmit.load("vggish_vgg16", data_dir=package, streaming=True)
    assert refused(lambda: avmit.batches(streams)) == said
    assert refused(lambda: avmit.rows(streams["train"])) == (
        "a stream has no row numbers: give it to avmit.batches, or load it whole"
    )
    assert refused(lambda: avmit.rows(ds["test"].data.table)) == f"a Table is not rows: {NOT_ROWS}"
    assert refused(lambda: avmit.batches(list(ds["test"]))) == f"a list is not rows: {NOT_ROWS}"


def test_numbers_too_large_beside_missing_ones() -> None:
    table = pa.table({"id": pa.array([2**53 + 1, None])})
    ds = datasets.Dataset(table)
    assert refused(lambda: avmit.rows(ds, False, False, ["id"])) == (
        "'id' has missing values, and numbers too large to be floats beside NaN: make it text with "
        "cast_column, or leave it out of columns"
    )


GAPS = "fill them, or drop those rows and call flatten_indices()"


def of_arrays(array: pa.Array) -> Any:
    table = pa.table({"audio": array, "label": list(range(len(array)))})
    # With a name of its own: `datasets` would write a hostile table to make one, and crash.
    return datasets.Dataset(table, fingerprint="rows")


def steps(values: list[float | None], width: int = 2) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), width)


def test_a_missing_row_has_no_timesteps() -> None:
    inner = pa.list_(pa.float32(), 2)
    ds = of_arrays(pa.array([[[1, 2]], None, [[3, 4]]], pa.list_(inner)))
    rows = avmit.rows(ds, visual=False)
    assert [row["audio"].tolist() for row in rows] == [[[1, 2]], [], [[3, 4]]]
    (batch,) = avmit.batches(ds, visual=False)
    assert batch["audio_lengths"].tolist() == [1, 0, 1]


def test_values_that_are_missing_within_a_row() -> None:
    array = pa.ListArray.from_arrays([0, 1, 2], steps([1, None, 3, 4]))
    said = f"'audio' has missing values inside of its arrays: {GAPS}"
    assert refused(lambda: avmit.rows(of_arrays(array), visual=False)[1]) == said
    # As the text says, rows can be had that have none.
    some = of_arrays(array).select(range(1, 2))
    assert avmit.rows(some, visual=False)[0]["audio"].tolist() == [[3, 4]]
    some = of_arrays(array).select([1, 1]).flatten_indices()
    assert avmit.rows(some, visual=False)[1]["audio"].tolist() == [[3, 4]]


def test_a_timestep_that_is_missing() -> None:
    array = pa.array([[[1, 2], None]], pa.list_(pa.list_(pa.float32(), 2)))
    said = f"'audio' has missing values inside of its arrays: {GAPS}"
    assert refused(lambda: avmit.rows(of_arrays(array), visual=False)[0]) == said


def test_a_missing_row_that_lies_over_values() -> None:
    array = pa.ListArray.from_arrays([0, 1, 2], steps([1, 2, 3, 4]), mask=pa.array([True, False]))
    said = f"'audio' has missing values inside of its arrays: {GAPS}"
    assert refused(lambda: avmit.rows(of_arrays(array), visual=False)[0]) == said


HOSTILE = {
    "2147483647, 2, 2": [2**31 - 1, 2, 2],
    "-1, 2, 2": [-1, 2, 2],
    "1, 2, 3": [1, 2, 3],
    "2, 1, 2": [2, 1, 2],
    # The differences of these are positive where they overflow.
    "2147483647, -2147483648, -1": [2**31 - 1, -(2**31), -1],
    "2147483647, -2147483648, 2": [2**31 - 1, -(2**31), 2],
}


def shard_of(array: pa.Array) -> tuple[bytes, Any]:
    """Return the bytes of a shard with a column, and what reads them without a check."""
    data = written(pa.table({"audio": array, "label": list(range(len(array)))}))

    def read(changed: bytes) -> Any:
        return datasets.Dataset(pa.ipc.open_stream(changed).read_all(), fingerprint="rows")

    return data, read


@pytest.mark.parametrize("offsets", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("row", [0, 1, 2])
def test_hostile_offsets(offsets: list[int], row: int) -> None:
    array = pa.ListArray.from_arrays([0, 1, 1, 2], steps([1, 2, 3, 4]))
    data, read = shard_of(array)
    place = data.index(np.array([0, 1, 1, 2], np.int32).tobytes())
    changed = data[: place + 4] + np.array(offsets, np.int32).tobytes() + data[place + 16 :]
    rows = avmit.rows(read(changed), visual=False)
    assert refused(lambda: rows[row]) == (
        "'audio' has offsets outside of its values: bring the shard again"
    )


def test_values_that_are_fewer_than_said() -> None:
    data, read = shard_of(pa.ListArray.from_arrays([0, 619], steps([0.5] * 1238)))
    for count, more in ((619, 2**30), (1238, 2**31)):
        assert data.count(count.to_bytes(8, "little")) == 1
        data = data.replace(count.to_bytes(8, "little"), more.to_bytes(8, "little"))
    rows = avmit.rows(read(data), visual=False)
    assert refused(lambda: rows[0]) == (
        "'audio' has fewer values than it says: bring the shard again"
    )


def test_names_that_a_terminal_would_obey() -> None:
    table = made_table(made_rows(SOME)).select(["r1"]).rename_columns(["r1\x1b]0;\x07"])
    assert refused(lambda: avmit.rows(datasets.Dataset(table))) == (
        "no column 'audio' in these rows (r1\\x1b]0;\\x07): pass audio=False"
    )
