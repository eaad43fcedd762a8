"""An index says where all is: of every record batch, any columns are rebuilt from it alone."""

import base64
import json
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.indexes import config_of, read_by, stream_of
from support.releases import CONFIGS, DIMS

from conversion.convert.build import Options, convert
from conversion.package.index.batch import BatchReader
from conversion.package.index.build import NoIndex, build_index
from conversion.package.index.index_file import Index, parse_index, read_index
from conversion.package.manifest import read_manifest
from conversion.package.reader import read_batches
from conversion.package.writer import Compression, Encoding


def indexed(folder: Path) -> Index:
    found = read_index(folder, read_manifest(folder))
    assert found is not None
    return found


def all_batches(folder: Path, columns: list[str] | None = None) -> list[pa.RecordBatch]:
    files = [shard.file for shard in read_manifest(folder).shards]
    return [batch for file in files for batch in read_batches(folder / file, columns)]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_that_convert_makes_has_one(package: Path, config: str) -> None:
    folder = package / config
    index = indexed(folder)
    expected = all_batches(folder)
    assert list(index.columns) == expected[0].schema.names
    found, _ = read_by(index, folder)
    assert len(found) == len(expected)
    assert all(one.equals(other) for one, other in zip(found, expected, strict=True))
    assert found[0].schema.equals(expected[0].schema, check_metadata=True)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_shards_have_one(
    sharded_release: Path, tmp_path: Path, compression: Compression
) -> None:
    encoding = Encoding(compression=compression)
    convert(sharded_release, tmp_path, Options(workers=1, encoding=encoding))
    folder = tmp_path / "vggish_vgg16"
    for columns in (None, ["audio", "label"]):
        found, _ = read_by(indexed(folder), folder, columns)
        assert found == all_batches(folder, columns)


@pytest.mark.parametrize(
    "columns", [["audio", "label"], ["visual"], ["label"], ["tfrecord_filename", "audio"]]
)
@pytest.mark.parametrize("gap", [0, 10**9])
def test_only_the_columns_asked_for_are_needed(package: Path, columns: list[str], gap: int) -> None:
    folder = package / "yamnet_effnet"
    found, taken = read_by(indexed(folder), folder, columns, gap)
    expected = all_batches(folder, columns)
    assert found == expected
    assert found[0].schema.names == columns
    if not gap:
        assert taken <= sum(batch.nbytes + 64 * len(columns) for batch in expected)


def test_it_is_small_and_the_same_for_the_same_shards(package: Path) -> None:
    for config in DIMS:
        folder = package / config
        text = (folder / "index.json").read_bytes()
        manifest = read_manifest(folder)
        assert build_index(folder, manifest).to_bytes() == text
        # Of planned record batches, with BATCH_BYTES of embeddings, that is less than 0.05%.
        batches = sum(len(shard.batches) for shard in indexed(folder).shards)
        assert len(text) < 3_000 + 2_000 * batches


def test_it_is_read_without_our_code(package: Path) -> None:
    """As docs/publishing.md shows."""
    folder = package / "yamnet_effnet"
    index = json.loads((folder / "index.json").read_text())
    shard = index["shards"][0]
    batch = shard["batches"][0]
    data = (folder / shard["file"]).read_bytes()
    assert data.startswith(base64.b64decode(index["schema"]))
    assert shard["schema_length"] == len(base64.b64decode(index["schema"])) == batch["offset"]
    body = batch["offset"] + batch["metadata_length"]
    metadata = base64.b64decode(batch["metadata"])
    assert data[batch["offset"] : body] == metadata
    offset, length, crc32c = batch["columns"][index["columns"].index("visual")]
    column = data[body + offset : body + offset + length]
    assert google_crc32c.value(column) == crc32c
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(index["schema"])))
    message = metadata + data[body : body + batch["body_length"]]
    read = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
    assert read.num_rows == batch["rows"]
    values = read.column("visual").flatten().flatten().to_numpy().tobytes()
    assert column.endswith(values)


def test_a_single_piece_is_not_copied(package: Path) -> None:
    folder = package / "yamnet_effnet"
    index = indexed(folder)
    batch = index.shards[0].batches[0]
    reader = BatchReader(index, ["visual"])
    ((offset, length),) = reader.ranges(batch)
    with (folder / index.shards[0].file).open("rb") as file:
        file.seek(batch.body_offset + offset)
        piece = pa.py_buffer(file.read(length))
    values = reader.read(batch, {offset: piece}).column(0).buffers()[-1]
    assert piece.address <= values.address < piece.address + piece.size


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.frombuffer, "unaligned"])
def test_pieces_of_any_kind_and_at_any_address(package: Path, kind: Any) -> None:
    folder = package / "vggish_vgg16"
    index = indexed(folder)
    shard = index.shards[0]
    batch = shard.batches[0]
    data = (folder / shard.file).read_bytes()
    expected = all_batches(folder)[0]
    reader = BatchReader(index)
    for start in (0, 3) if kind == "unaligned" else (0,):
        begin, _ = reader.ranges(batch)[0]
        whole = data[batch.body_offset + begin - start : batch.end]
        if kind == "unaligned":
            piece: Any = memoryview(b"\0" + whole)[1:]
        else:
            piece = kind(whole, np.uint8) if kind is np.frombuffer else kind(whole)
        assert reader.read(batch, {begin - start: piece}) == expected


def test_wrong_and_missing_bytes_are_told(package: Path) -> None:
    folder = package / "vggish_vgg16"
    index = indexed(folder)
    batch = index.shards[0].batches[0]
    reader = BatchReader(index, ["audio"])
    ((offset, length),) = reader.ranges(batch)
    data = bytearray((folder / index.shards[0].file).read_bytes()[batch.body_offset + offset :])
    good = bytes(data[:length])
    assert reader.read(batch, {offset: good}).num_rows == batch.rows
    for wrong in (good[:-1], b""):
        with pytest.raises(ValueError, match=r"^the bytes of audio are not there$"):
            reader.read(batch, {offset: wrong})
    with pytest.raises(ValueError, match=r"^the bytes of audio are not there$"):
        reader.read(batch, {})
    data[length // 2] ^= 4
    with pytest.raises(ValueError, match=r"^the bytes of audio are not those of its CRC32C$"):
        reader.read(batch, {offset: bytes(data[:length])})


def test_columns_that_are_not_there(package: Path) -> None:
    index = indexed(package / "ratings")
    with pytest.raises(ValueError, match="no column smell, x; there are: filename, r1"):
        BatchReader(index, ["smell", "r1", "x"])
    with pytest.raises(ValueError, match=r"^name each column once$"):
        BatchReader(index, ["r1", "r1"])


def test_empty_and_odd_batches(tmp_path: Path) -> None:
    schema = pa.schema(
        {
            "name": pa.string(),
            "flag": pa.bool_(),
            "deep": pa.list_(pa.struct({"a": pa.float64(), "b": pa.large_string()})),
            "fixed": pa.binary(3),
            "when": pa.timestamp("ms"),
        }
    )
    rows: list[dict[str, Any]] = [
        {"name": "a", "flag": None, "deep": [{"a": 1.0, "b": "x"}, None], "fixed": b"abc"},
        {"name": "", "flag": True, "deep": [], "fixed": None},
        {"name": None, "flag": False, "deep": None, "fixed": b"def"},
    ]
    full = pa.RecordBatch.from_pylist(rows, schema)
    empty = pa.RecordBatch.from_pylist([], schema)
    batches = [empty, full, full.slice(1), full.slice(0, 0), full]
    for compression in (None, "zstd"):
        data = [stream_of(batches, compression), stream_of([], compression, schema)]
        manifest = config_of(tmp_path, data, [8, 0])
        index = build_index(tmp_path, manifest)
        assert parse_index(index.to_bytes(), manifest) == index
        for columns in (None, ["deep"], ["when", "name"], ["flag", "fixed"]):
            found, _ = read_by(index, tmp_path, columns)
            wanted = [batch if columns is None else batch.select(columns) for batch in batches]
            assert [batch.to_pylist() for batch in found] == [b.to_pylist() for b in wanted]


def test_what_cannot_be_indexed(tmp_path: Path) -> None:
    plain = pa.RecordBatch.from_pydict({"a": pa.array([1, 2])})
    words = pa.RecordBatch.from_pydict({"a": pa.array(["x", "y", "x"]).dictionary_encode()})
    twice = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    lines = pa.RecordBatch.from_pydict({"a\nb": pa.array([1])})
    text = stream_of([plain])
    begin = pa.ipc.read_message(text).serialize().size
    other = pa.RecordBatch.from_pydict({"b": pa.array([1, 2])})
    first = "train-00000-of-00001.arrow"
    cases = [
        ([stream_of([words])], [3], f"{first}: column a is dictionary<values=string, indices=int"),
        ([stream_of([twice])], [1], f"{first}: two columns have one name"),
        ([stream_of([lines])], [1], f"{first}: the name of a column is no text of one line"),
        ([text], [3], f"{first}: it has {len(text)} bytes and 2 rows, in the manifest {len(text)}"),
        ([text[:-16]], [2], f"{first}: the message at byte {begin} does not end as it says"),
        ([text[: begin + 20]], [2], f"{first}: the message at byte {begin} does not end as it"),
        ([text[: begin + 6]], [2], f"{first}: it ends within a message, at byte {begin + 6}"),
        ([b""], [0], f"{first}: it does not begin with a schema"),
        ([b"ARROW1\0\0" + text], [2], f"{first}: no message begins at byte 0"),
        ([text, stream_of([words])], [2, 3], "train-00001-of-00002.arrow: column a is dict"),
        (
            [text, stream_of([other])],
            [2, 2],
            "train-00001-of-00002.arrow: its columns are not those of the first shard",
        ),
    ]
    for shards, rows, reason in cases:
        manifest = config_of(tmp_path, shards, rows)
        with pytest.raises(NoIndex) as raised:
            build_index(tmp_path, manifest)
        assert str(raised.value).startswith(reason)
        assert "\n" not in str(raised.value)
    manifest = config_of(tmp_path, [text], [2])
    (tmp_path / first).unlink()
    with pytest.raises(NoIndex, match=f"{first}: No such file or directory"):
        build_index(tmp_path, manifest)
    manifest.format = "parquet"
    with pytest.raises(NoIndex, match=r"^Parquet files have an index of their own, the footer$"):
        build_index(tmp_path, manifest)


COLUMNS = st.sampled_from(
    [
        pa.int64(),
        pa.float32(),
        pa.bool_(),
        pa.string(),
        pa.large_binary(),
        pa.list_(pa.int8()),
        pa.list_(pa.list_(pa.float32(), 2)),
        pa.struct({"x": pa.int16(), "y": pa.list_(pa.string())}),
    ]
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-128, 127),
    "float": st.floats(width=32, allow_nan=False),
    "bool": st.booleans(),
    "string": st.text(max_size=5),
    "binary": st.binary(max_size=5),
}


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type, and nulls."""
    inner: st.SearchStrategy[Any]
    if pa.types.is_fixed_size_list(kind):
        length = kind.list_size
        inner = st.lists(values(kind.value_type), min_size=length, max_size=length)
    elif pa.types.is_list(kind):
        inner = st.lists(values(kind.value_type), max_size=3)
    elif pa.types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        inner = st.fixed_dictionaries({field.name: values(field.type) for field in fields})
    else:
        name = str(kind).removeprefix("large_").rstrip("0123456789")
        inner = VALUES[name]
    return st.none() | inner


@settings(max_examples=80)
@given(data=st.data())
def test_any_columns_of_any_batches(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    kinds = data.draw(st.lists(COLUMNS, min_size=1, max_size=4))
    schema = pa.schema([(f"c{number}", kind) for number, kind in enumerate(kinds)])
    batches = []
    for _ in range(data.draw(st.integers(0, 3))):
        rows = data.draw(st.integers(0, 5))
        columns = [
            pa.array(data.draw(st.lists(values(k), min_size=rows, max_size=rows)), k) for k in kinds
        ]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    folder = tmp_path_factory.mktemp("any")
    compression = data.draw(st.sampled_from([None, "lz4", "zstd"]))
    shard = stream_of(batches, compression, schema)
    manifest = config_of(folder, [shard], [sum(batch.num_rows for batch in batches)])
    index = build_index(folder, manifest)
    assert parse_index(index.to_bytes(), manifest) == index
    wanted = data.draw(st.lists(st.sampled_from(schema.names), unique=True))
    found, _ = read_by(index, folder, wanted, data.draw(st.sampled_from([0, 8, 100])))
    assert [batch.to_pylist() for batch in found] == [b.select(wanted).to_pylist() for b in batches]
