"""`avmit.rows` gives the rows of any dataset, as views of the mapped shards."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feeding import (
    CONFIG,
    KINDS,
    SOME,
    WIDTHS,
    Lengths,
    Row,
    apart,
    assert_array,
    in_memory,
    lengths,
    made_rows,
    write_package,
)

import avmit

COLUMNS = ("label", "filename")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return {kind: write_package(folder / kind / "avmit", SOME, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def mapped(packages: dict[str, Path]) -> Any:
    return avmit.load(CONFIG, "train", data_dir=packages["arrow"])


def assert_rows(source: Any, expected: list[Row]) -> None:
    rows = avmit.rows(source, columns=COLUMNS)
    assert len(rows) == len(expected)
    for found in (list(rows), rows.__getitems__(range(len(expected)))):
        assert [list(row) for row in found] == [[*WIDTHS, *COLUMNS]] * len(expected)
        for row, want in zip(found, expected, strict=True):
            for name in WIDTHS:
                assert_array(row[name], want[name])
            assert [row[name] for name in COLUMNS] == [want[name] for name in COLUMNS]
            assert [type(row[name]) for name in COLUMNS] == [int, str]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_avmit_load(packages: dict[str, Path], kind: str, cache: Path) -> None:
    assert_rows(avmit.load(CONFIG, "train", data_dir=packages[kind]), made_rows(SOME))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_load_dataset(packages: dict[str, Path], kind: str, cache: Path) -> None:
    files = sorted(map(str, (packages[kind] / CONFIG).iterdir()))
    builder = "parquet" if kind == "parquet" else "arrow"
    loaded = datasets.load_dataset(builder, data_files={"train": files}, split="train")
    assert_rows(loaded, made_rows(SOME))


Way = Callable[[Any, list[Row], st.DataObject], tuple[Any, list[Row]]]


def selected(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6)) if rows else []
    return ds.select(chosen), [rows[n] for n in chosen]


def sliced(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    start = data.draw(st.integers(0, max(0, len(rows) - 1)))
    end = data.draw(st.integers(start, len(rows)))
    return ds.select(range(start, end)), rows[start:end]


def shuffled(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    again = ds.shuffle(seed=data.draw(st.integers(0, 99)))
    order = [int(name[6:-4]) for name in again["filename"]]
    return again, [next(row for row in rows if row["r3"] == number) for number in order]


def filtered(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    kept = data.draw(st.sets(st.integers(0, 22)))
    few = ds.filter(lambda batch: [n in kept for n in batch], input_columns="r3", batched=True)
    return few, [row for row in rows if row["r3"] in kept]


def parted(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    if len(rows) < 2:
        return ds, rows
    count = data.draw(st.integers(1, len(rows) - 1))
    return ds.train_test_split(test_size=count, shuffle=False)["test"], rows[-count:]


def doubled(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    more, others = selected(ds, rows, data)
    return datasets.concatenate_datasets([ds, more]), rows + others


def flattened(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    return ds.flatten_indices(), rows


def beside(ds: Any, rows: list[Row], data: st.DataObject) -> tuple[Any, list[Row]]:
    if "more" in ds.column_names or not rows:
        return ds, rows
    return ds.add_column("more", list(range(len(rows)))), rows


WAYS: list[Way] = [selected, sliced, shuffled, filtered, parted]
WAYS += [doubled, flattened, beside]


@settings(max_examples=40)
@given(st.data(), lengths, st.lists(st.sampled_from(WAYS), max_size=4))
def test_rows_of_what_is_made_of_a_dataset(data: st.DataObject, some: Lengths, ways: Any) -> None:
    ds, rows = in_memory(some), made_rows(some)
    for way in ways:
        if way is shuffled and len({row["r3"] for row in rows}) < len(rows):
            continue  # rows that stand twice cannot be told apart
        ds, rows = way(ds, rows, data)
    assert_rows(ds, rows)


@settings(max_examples=15)
@given(st.data(), st.lists(st.sampled_from(WAYS[:6]), min_size=1, max_size=3))
def test_rows_of_what_is_made_of_a_mapped_dataset(
    mapped: Any, data: st.DataObject, ways: Any
) -> None:
    ds, rows = mapped, made_rows(SOME)
    for way in ways:
        if way is shuffled and len({row["r3"] for row in rows}) < len(rows):
            continue
        ds, rows = way(ds, rows, data)
    assert_rows(ds, rows)


@settings(max_examples=30)
@given(lengths, st.integers(1, 4), st.integers(1, 5))
def test_rows_of_shards_of_any_record_batches(
    tmp_path_factory: pytest.TempPathFactory, some: Lengths, shards: int, batch_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("shards") / "avmit"
    write_package(folder, some, shards=min(shards, len(some)), batch_rows=batch_rows)
    assert_rows(avmit.load(CONFIG, "train", data_dir=folder), made_rows(some))


def test_rows_of_a_part_of_a_split(packages: dict[str, Path]) -> None:
    ds = avmit.load(CONFIG, "train[3:9]+train[-2:]", data_dir=packages["arrow"])
    assert_rows(ds, [*made_rows(SOME)[3:9], *made_rows(SOME)[-2:]])


def test_formats_and_transforms_are_passed_by(mapped: Any) -> None:
    assert_rows(mapped.with_format("numpy", columns=["r3"]), made_rows(SOME))
    assert_rows(mapped.with_transform(lambda batch: {"n": batch["r3"]}), made_rows(SOME))


def test_renamed_and_removed_columns(mapped: Any) -> None:
    rows = avmit.rows(
        mapped.rename_columns({"audio": "sound", "r3": "votes"}).remove_columns("visual"),
        audio=False,
        visual=False,
        columns=["votes"],
    )
    assert repr(rows) == "Rows(23 rows: sound (T, 3), votes)"
    assert_array(rows[5]["sound"], made_rows(SOME)[5]["audio"])
    assert rows[5]["votes"] == 5


def test_one_modality_and_columns_alone(mapped: Any) -> None:
    assert list(avmit.rows(mapped, audio=False)[0]) == ["visual", "label"]
    assert list(avmit.rows(mapped, visual=False, columns=())[0]) == ["audio"]
    rows = avmit.rows(mapped, audio=False, visual=False, columns=("r3", "filename"))
    assert rows[2] == {"r3": 2, "filename": "video-2.mp4"}


def addresses(packages: dict[str, Path]) -> list[tuple[int, int]]:
    """Return where the shards of the mapped package are in memory, from the system's own list."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if str(packages["arrow"].resolve()) in line:
            start, end = line.split()[0].split("-")
            found.append((int(start, 16), int(end, 16)))
    return found


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists its mappings")
def test_embeddings_are_views_of_the_file(packages: dict[str, Path], mapped: Any) -> None:
    ranges = addresses(packages)
    assert ranges
    for row in avmit.rows(mapped.shuffle(seed=3)):
        for name in WIDTHS:
            if row[name].size:
                at = row[name].ctypes.data
                assert any(start <= at < end for start, end in ranges)


def test_one_row_is_one_place_in_memory(mapped: Any) -> None:
    one, other = avmit.rows(mapped), avmit.rows(mapped.select([7, 7]))
    assert np.shares_memory(one[7]["audio"], other[1]["audio"])
    assert not np.shares_memory(one[7]["audio"], one[6]["audio"])


def test_embeddings_cannot_be_written_to(mapped: Any) -> None:
    for row in avmit.rows(mapped):
        for name in WIDTHS:
            assert not row[name].flags.writeable
            with pytest.raises(ValueError):
                row[name].flags.writeable = True


def test_numbers_of_rows(mapped: Any) -> None:
    rows = avmit.rows(mapped, columns=("r3",))
    for number in (-1, -23, np.int64(4), np.uint8(4), np.int32(-3), True):
        assert rows[number]["r3"] == range(23)[number]
    assert [row["r3"] for row in rows.__getitems__(np.array([3, -1, 3]))] == [3, 22, 3]
    assert rows.__getitems__([]) == []
    assert [row["r3"] for row in reversed(rows)] == list(range(22, -1, -1))


@pytest.mark.parametrize("number", [23, -24, 10**30])
def test_a_row_that_is_not_there(mapped: Any, number: int) -> None:
    with pytest.raises(IndexError) as error:
        avmit.rows(mapped)[number]
    assert str(error.value) == f"row {number} of 23"


@pytest.mark.parametrize("number", [1.0, "audio", None, slice(2)])
def test_what_is_no_number(mapped: Any, number: Any) -> None:
    with pytest.raises(TypeError):
        avmit.rows(mapped)[number]


def test_repr_says_what_a_row_has(mapped: Any) -> None:
    assert repr(avmit.rows(mapped)) == "Rows(23 rows: audio (T, 3), visual (T, 2), label)"
    rows = avmit.rows(mapped.select([]), audio=False, columns=("filename", "r1"))
    assert repr(rows) == "Rows(0 rows: visual (T, 2), filename, r1)"


READ_AGAIN = """
import json, pickle, sys
from pathlib import Path

rows = pickle.loads(Path(sys.argv[1]).read_bytes())
assert not any(module in sys.modules for module in ("torch", "tensorflow", "jax", "keras"))
found = [
    {n: v.tolist() if n in ("audio", "visual") else v for n, v in row.items()} for row in rows
]
maps = Path("/proc/self/maps").read_text().splitlines()
packages = {line.split(None, 5)[5].split("/tiny/")[0] for line in maps if "/tiny/" in line}
json.dump([repr(rows), found, *packages], sys.stdout)
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists its mappings")
def test_a_pickle_is_mapped_again_in_another_process(
    packages: dict[str, Path], mapped: Any, tmp_path: Path
) -> None:
    ds = mapped.shuffle(seed=1).select(range(9))
    rows = avmit.rows(ds, columns=COLUMNS)
    (tmp_path / "rows").write_bytes(pickle.dumps(pickle.loads(pickle.dumps(rows))))
    said, found, package = apart(READ_AGAIN, tmp_path / "rows")
    assert said == repr(rows)
    assert package == str(packages["arrow"].resolve())
    for row, again in zip(rows, found, strict=True):
        for name in WIDTHS:
            assert row[name].tolist() == again[name]
        assert [row[name] for name in COLUMNS] == [again[name] for name in COLUMNS]


def test_a_pickle_holds_no_embeddings(tmp_path: Path) -> None:
    steps = [(300, 300)] * 20
    wide = avmit.load(CONFIG, "train", data_dir=write_package(tmp_path / "avmit", steps))
    assert wide.data.nbytes > 100_000
    rows = avmit.rows(wide)
    for row in rows:
        assert row["audio"].shape == (300, 3)
    assert len(pickle.dumps(rows)) < 20_000


def test_a_pickle_of_what_is_in_memory(tmp_path: Path) -> None:
    rows = pickle.loads(pickle.dumps(avmit.rows(in_memory(SOME), columns=COLUMNS)))
    for row, want in zip(rows, made_rows(SOME), strict=True):
        assert_array(row["audio"], want["audio"])


def test_missing_numbers_and_text() -> None:
    table = pa.table(
        {
            "votes": pa.array([3, None, 5], pa.int8()),
            "share": pa.array([None, 0.5, 1.0], pa.float32()),
            "sure": pa.array([True, None, False]),
            "name": pa.array(["a", None, "c"]),
            "parts": pa.array([[1], None, []], pa.list_(pa.int64())),
        }
    )
    rows = avmit.rows(
        datasets.Dataset(table), audio=False, visual=False, columns=table.schema.names
    )
    assert repr(rows[0]) == repr(
        {"votes": 3.0, "share": float("nan"), "sure": True, "name": "a", "parts": [1]}
    )
    assert repr(rows[1]) == repr(
        {"votes": float("nan"), "share": 0.5, "sure": None, "name": None, "parts": None}
    )
    assert rows[2] == {"votes": 5.0, "share": 1.0, "sure": False, "name": "c", "parts": []}


def test_large_lists_are_embeddings_too() -> None:
    inner = pa.list_(pa.float32(), 2)
    table = pa.table({"audio": pa.array([[[1, 2]], [], [[3, 4], [5, 6]]], pa.large_list(inner))})
    rows = avmit.rows(datasets.Dataset(table), visual=False, columns=())
    assert [row["audio"].tolist() for row in rows] == [[[1, 2]], [], [[3, 4], [5, 6]]]


def test_rows_need_no_framework() -> None:
    script = "\n".join(
        (
            "import json, sys",
            "import avmit",
            "assert not [m for m in sys.modules if m.startswith('experiments')]",
            "assert all(map(callable, (avmit.rows, avmit.batches)))",
            "found = [m for m in ('torch', 'tensorflow', 'jax', 'keras') if m in sys.modules]",
            "json.dump(found, sys.stdout)",
        )
    )
    assert apart(script) == []


def test_a_config_of_the_real_widths(package: Path) -> None:
    ds = avmit.load("yamnet_effnet", "test", data_dir=package)
    rows = avmit.rows(ds)
    assert repr(rows) == "Rows(16 rows: audio (T, 1024), visual (T, 1280), label)"
    for row, want in zip(rows, ds, strict=True):
        assert_array(row["audio"], np.array(want["audio"], np.float32))
        assert_array(row["visual"], np.array(want["visual"], np.float32))
        assert row["label"] == want["label"]
