"""A good package passes every check; whatever is changed in one is found, and named."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import typer
from huggingface_hub import metadata_load, metadata_save
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import avmit
from conversion import annotations
from conversion.card import write_card
from conversion.checks import Check
from conversion.convert import Options, convert
from conversion.demo_release import LABELS, generate_release, write_rows
from conversion.features import arrow_schema
from conversion.shards import Encoding
from conversion.verify import verify
from conversion.verify_command import verify as verify_command

EMBEDDINGS = "vggish_vgg16"
TRAIN = [f"train-{index:05d}-of-00002.arrow" for index in range(2)]
TEST = "test-00000-of-00001.arrow"
NOT_READ = "not read: its checksum is wrong"
OF_SHARD = ["row count", "schema", "nulls", "values", "timesteps"]

Failure = tuple[str, str, str]
Change = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify-release") / "sources"
    generate_release(folder, videos_per_label=3, test_per_label=1, sets=[EMBEDDINGS])
    return folder


def _options(**changes: Any) -> Options:
    return Options(workers=1, max_shard_bytes=260_000, **changes)


@pytest.fixture(scope="module")
def good(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of 48 videos: 32 of train in two shards, 16 of test in one. Not written to."""
    out = tmp_path_factory.mktemp("verify-package") / "avmit"
    convert(source, out, _options())
    return out


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    """A copy of the good package, to be damaged."""
    return Path(shutil.copytree(good, tmp_path / "avmit"))


def failures(package: Path) -> list[Failure]:
    found = [(c.name, c.where, c.found) for c in verify(package, workers=1) if not c.ok]
    return sorted(found)


def finding(package: Path, name: str, where: str) -> str:
    found = [c.found for c in verify(package, workers=1) if (c.name, c.where) == (name, where)]
    assert len(found) == 1
    return found[0]


def edit_manifest(package: Path, config: str, change: Callable[[Any], Any]) -> None:
    path = package / config / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def entry(manifest: Any, file: str) -> Any:
    return next(s for shards in manifest["splits"].values() for s in shards if s["file"] == file)


def put(package: Path, config: str, file: str, data: bytes, **facts: Any) -> None:
    """Write a shard's bytes and let the manifest agree with them."""
    (package / config / file).write_bytes(data)
    facts |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(package, config, lambda manifest: entry(manifest, file).update(facts))


def tamper(package: Path, config: str, file: str, change: Change, **facts: Any) -> None:
    """Rewrite a shard with another table; its size, sum and rows in the manifest follow."""
    table = change(read(package, config, file))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    put(package, config, file, sink.getvalue().to_pybytes(), rows=len(table), **facts)


def read(package: Path, config: str, file: str) -> pa.Table:
    with pa.ipc.open_stream((package / config / file).read_bytes()) as reader:
        return reader.read_all()


def with_values(column: str, change: Callable[[list[Any]], Any]) -> Change:
    """Change a column's values as a list, in place."""

    def changed(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        change(values)
        field = table.schema.field(column)
        index = table.schema.get_field_index(column)
        return table.set_column(index, field, pa.array(values, field.type))

    return changed


def setting(index: int, value: Any) -> Callable[[list[Any]], None]:
    return lambda values: values.__setitem__(index, value)


def name_of(package: Path, file: str, row: int) -> str:
    return str(read(package, EMBEDDINGS, file)["tfrecord_filename"][row])


def test_a_good_package_holds_with_these_findings(good: Path) -> None:
    checks = verify(good, workers=1)
    sizes = {
        config: sum(path.stat().st_size for path in (good / config).glob("*.arrow"))
        for config in (*avmit.RATINGS_CONFIGS, EMBEDDINGS)
    }
    raw = len(read(good, "raw_ratings", "train-00000-of-00001.arrow"))
    found = {(check.name, check.where): check.found for check in checks}
    assert len(found) == len(checks)
    assert [check for check in checks if not check.ok] == []
    assert f"{sizes[EMBEDDINGS] / 1000:.3g} kB" == found.pop(("size", EMBEDDINGS))
    low, high = found.pop(("rating sums", "ratings")).split(" to ")
    assert 3 <= int(low) <= int(high) <= 7
    for config in avmit.RATINGS_CONFIGS:
        assert f"{sizes[config] / 1000:.3g} kB" == found.pop(("size", config))
    for config in (*avmit.RATINGS_CONFIGS, EMBEDDINGS):
        assert found.pop(("sha256", config)).endswith("as in the manifest")
        assert found.pop(("manifest", config)) == "well-formed"
        assert found.pop(("files", config)) == "none but the manifest's"
        assert found.pop(("nulls", config)) == "none"
    assert found == {
        ("package", "."): "every folder of shards has its manifest",
        ("numbering", "ratings"): "complete: train 1",
        ("numbering", "raw_ratings"): "complete: train 1",
        ("numbering", "test_set"): "complete: test 1",
        ("numbering", EMBEDDINGS): "complete: train 2, test 1",
        ("presence", "ratings"): "1 shard",
        ("presence", "raw_ratings"): "1 shard",
        ("presence", "test_set"): "1 shard",
        ("presence", EMBEDDINGS): "3 shards",
        ("row count", "ratings"): "48",
        ("row count", "raw_ratings"): str(raw),
        ("row count", "test_set"): "16",
        ("row count", EMBEDDINGS): "48",
        ("schema", "ratings"): "8 columns",
        ("schema", "raw_ratings"): "5 columns",
        ("schema", "test_set"): "6 columns",
        ("schema", EMBEDDINGS): "10 columns, audio 128 wide, visual 512 wide",
        ("values", EMBEDDINGS): "all finite",
        ("timesteps", EMBEDDINGS): "audio 3 to 3, visual 6 to 7",
        ("card configs", "README.md"): "4 configs",
        ("card default", "README.md"): "ratings",
        ("card splits", "README.md"): "its files are the shards",
        ("card counts", "README.md"): "as in the manifests",
        ("card features", "README.md"): "those of the shards",
        ("unique", "ratings"): "no video twice",
        ("unique", "test_set"): "no video twice",
        ("unique", EMBEDDINGS): "no video twice",
        ("rows", "test_set"): "16 equal to those of ratings",
        ("rows", EMBEDDINGS): "48 equal to those of ratings",
        ("rating values", "raw_ratings"): f"{raw} of 1, 2 or 3",
        ("raw ratings", "raw_ratings"): "add up to r1, r2, r3 for 48 of 48 rated videos",
        ("release", "."): "not the full release (48 of 57,177 rated videos)",
        ("splits", EMBEDDINGS): "train 32, test 16",
        ("order", EMBEDDINGS): "that of ratings",
        ("complete", EMBEDDINGS): "48 rows, 0 listed without, of 48 rated videos",
    }


def test_processes_find_the_same_and_report_every_byte(good: Path) -> None:
    told: list[tuple[int, int]] = []
    checks = verify(good, lambda done, total: told.append((done, total)), workers=3)
    assert checks == verify(good, workers=1)
    size = sum(path.stat().st_size for path in good.glob("*/*.arrow"))
    assert {total for _, total in told} == {size}
    assert sum(done for done, _ in told) == size


@pytest.mark.parametrize(
    "encoding", [Encoding("arrow", "lz4"), Encoding("arrow", "zstd"), Encoding("parquet", "zstd")]
)
def test_compressed_shards_and_parquet(source: Path, tmp_path: Path, encoding: Encoding) -> None:
    out = tmp_path / "avmit"
    convert(source, out, _options(encoding=encoding))
    assert failures(out) == []
    assert finding(out, "timesteps", EMBEDDINGS) == "audio 3 to 3, visual 6 to 7"
    shard = out / EMBEDDINGS / f"train-00001-of-00002.{encoding.format}"
    flip(shard, shard.stat().st_size // 2, 3)
    assert [where for name, where, _ in failures(out) if name == "sha256"] == [
        f"{EMBEDDINGS}/{shard.name}"
    ]


# What is damaged in a shard's bytes


def flip(path: Path, offset: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def assert_found(package: Path, path: Path, size: str = "") -> None:
    """Check that a shard, and no other, is said to be wrong, and that it was not parsed."""
    found = failures(package)
    where = path.relative_to(package).as_posix()
    of_shard = {name: text for name, place, text in found if place == where}
    config = path.parent.name
    names = OF_SHARD if config == EMBEDDINGS else OF_SHARD[:3]
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    noted = entry(json.loads((path.parent / "manifest.json").read_text()), path.name)["sha256"]
    assert of_shard == {
        "sha256": f"{now}, in the manifest {noted}",
        **dict.fromkeys(names, NOT_READ),
        **({"size": size} if size else {}),
    }
    others = {(name, place) for name, place, _ in found if place != where}
    assert others <= {("rows", config), ("rows", EMBEDDINGS), ("card features", "README.md")}


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("config", [*avmit.RATINGS_CONFIGS, EMBEDDINGS])
def test_a_flipped_bit_is_found_in_every_shard(copy: Path, config: str, place: str) -> None:
    for path in sorted((copy / config).glob("*.arrow")):
        size = path.stat().st_size
        offset = {"first": 0, "middle": size // 2, "last": size - 1}[place]
        flip(path, offset, 7)
        assert_found(copy, path)
        flip(path, offset, 7)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from([*TRAIN, TEST]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_bit_flipped_anywhere_is_found(copy: Path, file: str, place: float, bit: int) -> None:
    path = copy / EMBEDDINGS / file
    offset = int(place * path.stat().st_size)
    flip(path, offset, bit)
    try:
        assert_found(copy, path)
    finally:
        flip(path, offset, bit)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_shard_cut_or_grown(copy: Path, change: int) -> None:
    path = copy / EMBEDDINGS / TRAIN[1]
    data = path.read_bytes()
    path.write_bytes(data[:-1] if change < 0 else data + b"\0")
    assert_found(copy, path, f"{len(data) + change:,} bytes, in the manifest {len(data):,}")


def test_a_missing_shard(copy: Path) -> None:
    (copy / EMBEDDINGS / TRAIN[1]).unlink()
    absent = "not read: there is no such file"
    where = f"{EMBEDDINGS}/{TRAIN[1]}"
    found = failures(copy)
    assert ("presence", where, "missing") in found
    for name in ("size", "sha256", *OF_SHARD):
        assert (name, where, absent) in found
    splits = f"split train of {EMBEDDINGS} does not lead to its shards"
    assert ("card splits", "README.md", splits) in found
    assert ("rows", EMBEDDINGS, "not checked: manifest or shards are not sound") in found


def test_a_shard_that_is_no_arrow_though_its_sum_is_right(copy: Path) -> None:
    put(copy, EMBEDDINGS, TEST, b"\xff\xff\xff\xff\x10\0\0\0" + bytes(range(64)))
    where = f"{EMBEDDINGS}/{TEST}"
    found = {name: text for name, place, text in failures(copy) if place == where}
    assert sorted(found) == sorted(OF_SHARD)
    for text in found.values():
        assert text.startswith(f"{copy / EMBEDDINGS / TEST} cannot be read as an Arrow stream (")
        assert "\n" not in text


@pytest.mark.parametrize("name", [b"\xffew_filename", b"\xc3\x28w_filename"])
def test_a_column_name_that_is_not_unicode(copy: Path, name: bytes) -> None:
    data = (copy / "test_set" / TEST).read_bytes()
    damaged = data.replace(b"new_filename\0", name + b"\0")
    assert damaged != data
    put(copy, "test_set", TEST, damaged)
    where = f"test_set/{TEST}"
    found = {text for check, place, text in failures(copy) if place == where}
    assert len(found) == 1
    assert found.pop().startswith(
        f"{copy / where} cannot be read as an Arrow stream ('utf-8' codec"
    )


def test_two_columns_of_one_name(copy: Path) -> None:
    tamper(copy, "test_set", TEST, lambda t: t.rename_columns(["filename", *t.schema.names[:-1]]))
    where = f"test_set/{TEST}"
    text = f"{copy / where} has two columns of one name: bring the shard again"
    assert {found for _, place, found in failures(copy) if place == where} == {text}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_damage_under_a_right_sum_is_never_a_traceback(copy: Path, place: float, byte: int) -> None:
    path = copy / "test_set" / TEST
    before, manifest = path.read_bytes(), (copy / "test_set/manifest.json").read_bytes()
    data = bytearray(before)
    data[int(place * len(data))] = byte
    put(copy, "test_set", TEST, bytes(data))
    try:
        verify(copy, workers=1)
    finally:
        path.write_bytes(before)
        (copy / "test_set/manifest.json").write_bytes(manifest)


# What a shard holds


VALUES: dict[str, tuple[Change, dict[str, Any], str, str]] = {
    "nan": (
        with_values("audio", lambda rows: rows[4][1].__setitem__(7, float("nan"))),
        {},
        "values",
        "NaN or infinity in audio of row 4",
    ),
    "infinity in two rows": (
        with_values(
            "visual",
            lambda rows: [rows[row][-1].__setitem__(-1, float("-inf")) for row in (3, 9)],
        ),
        {},
        "values",
        "NaN or infinity in visual of row 3 and 1 rows after it",
    ),
    "no timesteps": (
        with_values("audio", setting(2, [])),
        {"timesteps": {"audio": [0, 3], "visual": [6, 7]}},
        "timesteps",
        "a row without timesteps in audio",
    ),
    "fewer timesteps": (
        with_values("audio", lambda rows: rows[2].pop()),
        {},
        "timesteps",
        "audio has 2 to 3, in the manifest [3, 3]",
    ),
    "null": (
        with_values("MIT_label", setting(5, None)),
        {},
        "nulls",
        "1 nulls in MIT_label from row 0 on",
    ),
    "null embedding": (
        with_values("audio", setting(5, None)),
        {},
        "nulls",
        "1 nulls in audio from row 0 on",
    ),
    "null timestep": (
        with_values("audio", lambda rows: rows[5].__setitem__(0, None)),
        {},
        "nulls",
        "1 nulls in audio from row 0 on",
    ),
    "null float": (
        with_values("visual", lambda rows: rows[5][2].__setitem__(0, None)),
        {},
        "nulls",
        "1 nulls in visual from row 0 on",
    ),
}


@pytest.mark.parametrize("case", list(VALUES))
def test_values_that_no_shard_may_hold(copy: Path, case: str) -> None:
    change, facts, name, text = VALUES[case]
    tamper(copy, EMBEDDINGS, TRAIN[1], change, **facts)
    expected: list[Failure] = [(name, f"{EMBEDDINGS}/{TRAIN[1]}", text)]
    if name == "nulls":
        expected.append(("rows", EMBEDDINGS, "not checked: manifest or shards are not sound"))
    assert failures(copy) == expected


def test_a_row_count_that_is_not_the_manifests(copy: Path) -> None:
    edit_manifest(copy, EMBEDDINGS, lambda manifest: entry(manifest, TEST).update(rows=15))
    assert failures(copy) == [
        (
            "card counts",
            "README.md",
            f"{EMBEDDINGS} test has 16 examples, in the manifest 15",
        ),
        ("row count", f"{EMBEDDINGS}/{TEST}", "16 rows, in the manifest 15"),
    ]


def _relabel(table: pa.Table) -> pa.Table:
    names = [*LABELS[1:], "aaa"]
    features = avmit.embedding_features(128, 512, sorted(names))
    return table.replace_schema_metadata(arrow_schema(features).metadata)


def _as_double(table: pa.Table) -> pa.Table:
    index = table.schema.get_field_index("r1")
    return table.set_column(index, "r1", table["r1"].cast(pa.int32()))


def _narrow(table: pa.Table) -> pa.Table:
    values = [[step[:100] for step in row] for row in table["audio"].to_pylist()]
    narrow = pa.array(values, pa.list_(pa.list_(pa.float32(), 100)))
    return table.set_column(table.schema.get_field_index("audio"), "audio", narrow)


SCHEMAS: dict[str, tuple[Change, str]] = {
    "lacking": (lambda table: table.drop_columns(["r2"]), "no column r2"),
    "added": (
        lambda table: table.append_column("note", pa.array(["x"] * len(table))),
        "column note is not one of this config's",
    ),
    "order": (
        lambda table: table.select(["label", "filename", *table.schema.names[2:]]),
        "its columns stand in another order: label, filename, MIT_label, r1, r2, r3, "
        "video_location, tfrecord_filename, audio, visual",
    ),
    "type": (_as_double, "r1 is int32, not int64"),
    "width": (
        _narrow,
        "audio is list<item: fixed_size_list<item: float>[100]>, "
        "not list<item: fixed_size_list<item: float>[128]>",
    ),
    "labels": (_relabel, "its label names are not the sorted AVMIT labels of the ratings"),
    "no metadata": (
        lambda table: table.replace_schema_metadata(None),
        "its label names are not the sorted AVMIT labels of the ratings",
    ),
    "metadata without features": (
        lambda table: table.replace_schema_metadata({"huggingface": '{"info": {}}'}),
        "its label names are not the sorted AVMIT labels of the ratings",
    ),
    "mad metadata": (
        lambda table: table.replace_schema_metadata({"huggingface": "{"}),
        "its metadata does not describe features that datasets can read",
    ),
}


@pytest.mark.parametrize("case", list(SCHEMAS))
def test_a_schema_that_is_not_the_configs(copy: Path, case: str) -> None:
    change, text = SCHEMAS[case]
    tamper(copy, EMBEDDINGS, TRAIN[1], change)
    found = [(name, where, text) for name, where, text in failures(copy) if name == "schema"]
    assert found == [("schema", f"{EMBEDDINGS}/{TRAIN[1]}", text)]


def _with_has_audio(table: pa.Table) -> pa.Table:
    features = avmit.embedding_features(128, 512, LABELS)
    features["has_audio"] = datasets.Value("bool")
    wider = table.append_column("has_audio", pa.array([True] * len(table)))
    return wider.replace_schema_metadata(arrow_schema(features).metadata)


def test_extracted_configs_may_have_a_column_more_in_every_shard(copy: Path) -> None:
    edit_manifest(copy, EMBEDDINGS, lambda manifest: manifest["source"].update(kind="videos"))
    for file in TRAIN:
        tamper(copy, EMBEDDINGS, file, _with_has_audio)
    assert [failure for failure in failures(copy) if failure[0] == "schema"] == [
        ("schema", f"{EMBEDDINGS}/{TEST}", "not the schema of the config's first shard")
    ]
    tamper(copy, EMBEDDINGS, TEST, _with_has_audio)
    assert failures(copy) == [
        ("card features", "README.md", f"those of {EMBEDDINGS} are not those of its shards")
    ]


def test_extracted_configs_have_no_lists_of_their_own(copy: Path) -> None:
    edit_manifest(copy, EMBEDDINGS, lambda manifest: manifest["source"].update(kind="videos"))
    tamper(copy, EMBEDDINGS, TEST, lambda t: t.append_column("more", pa.array([[1.0]] * len(t))))
    assert [failure for failure in failures(copy) if failure[0] == "schema"] == [
        ("schema", f"{EMBEDDINGS}/{TEST}", "column more is not one of this config's")
    ]


# Manifests and folders


MANIFESTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "config": (
        lambda m: m.update(config="other"),
        f"config is 'other', its folder '{EMBEDDINGS}'",
    ),
    "format": (lambda m: m.update(format=["arrow"]), "format is ['arrow']"),
    "compression": (lambda m: m.update(compression="gzip"), "compression is 'gzip'"),
    "source": (lambda m: m.update(source="here"), "source has no kind"),
    "missing": (lambda m: m.update(missing_records=-1), "missing_records is -1"),
    "bad": (lambda m: m.update(bad_records=True), "bad_records is True"),
    "dims": (lambda m: m.update(dims={"audio": 128, "visual": "512"}), "dims are {'audio': 128, "),
    "no dims": (lambda m: m.update(dims={}), "dims are empty"),
    "splits": (lambda m: m.update(splits={}), "a split has no shards"),
    "split": (
        lambda m: m["splits"].update(validation=m["splits"]["test"]),
        "a split is called 'validation'",
    ),
    "file": (
        lambda m: entry(m, TEST).update(file="../ratings/x.arrow"),
        "a shard's file is '../ratings/x.arrow'",
    ),
    "hidden file": (lambda m: entry(m, TEST).update(file=".x"), "a shard's file is '.x'"),
    "rows": (lambda m: entry(m, TEST).update(rows="16"), f"{TEST}: rows is '16'"),
    "bytes": (lambda m: entry(m, TEST).update(bytes=1.5), f"{TEST}: bytes is 1.5"),
    "sum": (lambda m: entry(m, TEST).update(sha256="ab"), f"{TEST}: sha256 is 'ab'"),
    "timesteps": (
        lambda m: entry(m, TEST).update(timesteps={"audio": [3, 3]}),
        f"{TEST}: timesteps are {{'audio': [3, 3]}}",
    ),
    "range": (
        lambda m: entry(m, TEST)["timesteps"].update(audio=[3]),
        f"{TEST}: timesteps of audio are [3]",
    ),
}


@pytest.mark.parametrize("case", list(MANIFESTS))
def test_a_manifest_of_the_wrong_kind(copy: Path, case: str) -> None:
    change, text = MANIFESTS[case]
    edit_manifest(copy, EMBEDDINGS, change)
    found = {name: found for name, where, found in failures(copy) if where == EMBEDDINGS}
    assert found["manifest"].startswith(text)
    assert found["rows"] == "not checked: manifest or shards are not sound"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"splits": 3}', '{"splits": {"train": [1]}}', "[" * 100_000]
)
def test_a_manifest_that_is_none(copy: Path, text: str) -> None:
    (copy / EMBEDDINGS / "manifest.json").write_text(text)
    found = [(name, where) for name, where, _ in failures(copy)]
    assert found == [("card configs", "README.md"), ("manifest", EMBEDDINGS), ("rows", EMBEDDINGS)]


def test_files_that_the_manifest_does_not_name(copy: Path) -> None:
    folder = copy / EMBEDDINGS
    (folder / ".hidden").touch()
    (folder / "notes.txt").touch()
    shutil.copy(folder / TEST, folder / "test-00001-of-00002.arrow")
    found = "the manifest does not name notes.txt; the manifest does not name test-00001-of-00002"
    assert failures(copy) == [
        ("card splits", "README.md", f"split test of {EMBEDDINGS} does not lead to its shards"),
        ("files", EMBEDDINGS, f"{found}.arrow"),
    ]


def test_a_shard_dropped_with_its_entry(copy: Path) -> None:
    (copy / EMBEDDINGS / TRAIN[0]).unlink()
    edit_manifest(copy, EMBEDDINGS, lambda manifest: manifest["splits"]["train"].pop(0))
    write_card(copy)
    (name, where, found), complete = sorted(failures(copy), reverse=True)
    assert (name, where) == ("numbering", EMBEDDINGS)
    assert found == f"train shard 0 of 1 is {TRAIN[1]}"
    assert complete[:2] == ("complete", EMBEDDINGS)
    assert complete[2].endswith("; and 13 more")


def test_folders_and_scripts_that_keep_the_package_from_loading(copy: Path) -> None:
    (copy / "avmit.py").touch()
    (copy / "test_set/manifest.json").unlink()
    write_card(copy)
    assert failures(copy) == [
        (
            "package",
            ".",
            "test_set has shards and no manifest.json; "
            "avmit.py keeps datasets from loading the folder: take it away",
        )
    ]


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_folder_that_is_no_package_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(avmit.AvmitError, match=r"make (a package|one) with `avmit convert"):
        verify(tmp_path / folder)


# The card


def edit_card(package: Path, change: Callable[[Any], Any]) -> None:
    content = metadata_load(package / "README.md")
    assert content is not None
    change(content)
    metadata_save(package / "README.md", content)


def info(card: Any, config: str) -> Any:
    return next(entry for entry in card["dataset_info"] if entry["config_name"] == config)


def _path(card: Any, path: Any) -> None:
    config = next(c for c in card["configs"] if c["config_name"] == EMBEDDINGS)
    config["data_files"][0]["path"] = path


CARDS: dict[str, tuple[Callable[[Any], Any], list[tuple[str, str]]]] = {
    "a config gone": (
        lambda card: card["configs"].remove(
            next(c for c in card["configs"] if c["config_name"] == "test_set")
        ),
        [("card configs", "no config test_set")],
    ),
    "a config too many": (
        lambda card: card["configs"].append({"config_name": "more", "data_files": []}),
        [("card configs", "config more has no sound manifest here")],
    ),
    "two defaults": (
        lambda card: [config.update(default=True) for config in card["configs"][:2]],
        [("card default", "several: ratings, raw_ratings")],
    ),
    "one shard of two": (
        lambda card: _path(card, f"{EMBEDDINGS}/{TRAIN[0]}"),
        [("card splits", f"split train of {EMBEDDINGS} does not lead to its shards")],
    ),
    "a folder deeper": (
        lambda card: _path(card, f"{EMBEDDINGS}/train-*/below"),
        [("card splits", f"split train of {EMBEDDINGS} does not lead to its shards")],
    ),
    "path of another kind": (
        lambda card: _path(card, {"a": 1}),
        [("card splits", f"split train of {EMBEDDINGS} does not lead to its shards")],
    ),
    "a split renamed": (
        lambda card: card["configs"][-1]["data_files"][1].update(split="validation"),
        [
            (
                "card splits",
                f"{EMBEDDINGS} has no split validation; split test of {EMBEDDINGS} is not named",
            )
        ],
    ),
    "no data files": (
        lambda card: card["configs"][0].update(data_files="ratings"),
        [("card splits", "split train of ratings is not named")],
    ),
    "a count": (
        lambda card: info(card, "ratings")["splits"][0].update(num_examples=49),
        [("card counts", "ratings train has 49 examples, in the manifest 48")],
    ),
    "a split more": (
        lambda card: info(card, "ratings")["splits"].append({"name": "test", "num_examples": 1}),
        [("card counts", "ratings test has 1 examples, in the manifest no")],
    ),
    "splits of another kind": (
        lambda card: info(card, "ratings").update(splits="train"),
        [("card counts", "ratings train has no examples, in the manifest 48")],
    ),
    "a type": (
        lambda card: info(card, "ratings")["features"][1].update(dtype="int32"),
        [("card features", "those of ratings are not those of its shards")],
    ),
    "no info": (
        lambda card: card["dataset_info"].remove(info(card, "ratings")),
        [
            ("card counts", "ratings train has no examples, in the manifest 48"),
            ("card features", "those of ratings are not those of its shards"),
        ],
    ),
    "configs of another kind": (
        lambda card: card.update(configs="all"),
        [("card", "its YAML has no list of configs, each named once")],
    ),
    "infos named twice": (
        lambda card: card["dataset_info"].append(info(card, "ratings")),
        [("card", "its YAML has no list of dataset_info, each named once")],
    ),
}


@pytest.mark.parametrize("case", list(CARDS))
def test_a_card_that_does_not_fit(copy: Path, case: str) -> None:
    change, expected = CARDS[case]
    edit_card(copy, change)
    assert failures(copy) == [(name, "README.md", found) for name, found in expected]


def test_a_pattern_for_several_folders_is_as_good(copy: Path) -> None:
    edit_card(
        copy, lambda card: _path(card, [f"{EMBEDDINGS}/train-00000*", "vggish*/train-*[123]-of*"])
    )
    assert failures(copy) == []


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (None, "missing: write it with `avmit card {package}`"),
        (b"# AVMIT\n", "its YAML has no list of configs, each named once"),
        (b"---\n- a\n---\n", "cannot be read (repo card metadata block should be a dict)"),
        (b"---\na: [\n---\n", "cannot be read (while parsing a flow node"),
        (b"---\n\xff\n---\n", "cannot be read ('utf-8' codec can't decode"),
    ],
)
def test_a_card_that_is_none(copy: Path, data: bytes | None, found: str) -> None:
    (copy / "README.md").unlink()
    if data is not None:
        (copy / "README.md").write_bytes(data)
    ((name, where, text),) = failures(copy)
    assert (name, where) == ("card", "README.md")
    assert text.startswith(found.format(package=copy))
    assert "\n" not in text


# Rows against the ratings


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("filename", "x/y.mp4", "filename is x/y.mp4"),
        ("MIT_label", "x", "MIT_label is x"),
        ("r1", 9, "r1 is 9"),
        ("r2", 9, "r2 is 9"),
        ("r3", 9, "r3 is 9"),
        ("video_location", "attic", "video_location is attic"),
        ("label", 16, "AVMIT_label is no label"),
        ("label", -1, "AVMIT_label is no label"),
    ],
)
def test_a_row_that_differs_from_its_ratings(
    copy: Path, column: str, value: Any, shown: str
) -> None:
    name = name_of(copy, TRAIN[1], 3)
    tamper(copy, EMBEDDINGS, TRAIN[1], with_values(column, setting(3, value)))
    row = read(copy, EMBEDDINGS, TRAIN[0]).num_rows + 3
    ((check, where, found),) = failures(copy)
    assert (check, where) == ("rows", EMBEDDINGS)
    assert found.startswith(f"train row {row}, {name}: {shown}, in ratings ")


def test_a_row_with_another_label(copy: Path) -> None:
    name, label = name_of(copy, TEST, 0), read(copy, EMBEDDINGS, TEST)["label"][0].as_py()
    other = (label + 1) % 16
    tamper(copy, EMBEDDINGS, TEST, with_values("label", setting(0, other)))
    found = f"AVMIT_label is {LABELS[other]}, in ratings {LABELS[label]}"
    assert failures(copy) == [("rows", EMBEDDINGS, f"test row 0, {name}: {found}")]


def test_a_row_of_no_rated_video(copy: Path) -> None:
    name = name_of(copy, TRAIN[0], 0)
    tamper(copy, EMBEDDINGS, TRAIN[0], with_values("tfrecord_filename", setting(0, "a/b.tfrecord")))
    assert failures(copy) == [
        (
            "complete",
            EMBEDDINGS,
            f"{name} has no row and is not in missing_records.csv or bad_records.csv",
        ),
        ("rows", EMBEDDINGS, "train row 0, a/b.tfrecord, is not in ratings"),
    ]


def test_rows_in_the_wrong_split(copy: Path) -> None:
    train, test = read(copy, EMBEDDINGS, TRAIN[0]), read(copy, EMBEDDINGS, TEST)
    of_train, of_test = (str(table["tfrecord_filename"][0]) for table in (train, test))
    steps: dict[str, Any] = {"timesteps": {"audio": [3, 3], "visual": [6, 7]}}

    def swap(mine: pa.Table, other: pa.Table) -> pa.Table:
        return pa.concat_tables([other.slice(0, 1), mine.slice(1)])

    tamper(copy, EMBEDDINGS, TRAIN[0], lambda table: swap(train, test), **steps)
    tamper(copy, EMBEDDINGS, TEST, lambda table: swap(test, train), **steps)
    found = [failure for failure in failures(copy) if failure[0] not in ("order", "timesteps")]
    assert found == [
        (
            "splits",
            EMBEDDINGS,
            f"{of_test} of train is in test_set; {of_train} of test is not in test_set",
        )
    ]


def test_rows_in_another_order(copy: Path) -> None:
    names = [name_of(copy, TEST, row) for row in (4, 5)]
    order = [0, 1, 2, 3, 5, 4, *range(6, 16)]
    tamper(copy, EMBEDDINGS, TEST, lambda table: table.take(order))
    found = f"{names[0]} of test stands after {names[1]}, in ratings before it"
    assert failures(copy) == [("order", EMBEDDINGS, found)]


def test_a_video_twice_in_a_split(copy: Path) -> None:
    name = name_of(copy, TRAIN[0], 0)
    tamper(copy, EMBEDDINGS, TRAIN[0], lambda t: pa.concat_tables([t.slice(0, 1), t]))
    write_card(copy)
    assert failures(copy) == [("unique", EMBEDDINGS, f"{name} is in train twice")]


def test_a_video_in_both_splits(copy: Path) -> None:
    row = read(copy, EMBEDDINGS, TRAIN[0]).slice(0, 1)
    name = name_of(copy, TRAIN[0], 0)
    steps: dict[str, Any] = {"timesteps": {"audio": [3, 3], "visual": [6, 7]}}
    tamper(copy, EMBEDDINGS, TEST, lambda table: pa.concat_tables([row, table]), **steps)
    write_card(copy)
    found = [failure for failure in failures(copy) if failure[0] not in ("order", "timesteps")]
    assert found == [
        ("splits", EMBEDDINGS, f"{name} of test is not in test_set"),
        ("unique", EMBEDDINGS, f"{name} is in train and test"),
    ]


@pytest.fixture(scope="module")
def gappy(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package without the records of two videos, of which one was bad."""
    folder = tmp_path_factory.mktemp("verify-gappy")
    release = Path(shutil.copytree(source, folder / "sources"))
    records = sorted(release.glob("*/*/*.tfrecord"))
    records[5].unlink()
    records[20].write_bytes(b"no record")
    convert(release, folder / "avmit", _options(on_bad_record="skip"))
    return folder / "avmit"


def test_listed_videos_need_no_row(gappy: Path) -> None:
    assert failures(gappy) == []
    found = "46 rows, 2 listed without, of 48 rated videos"
    assert finding(gappy, "complete", EMBEDDINGS) == found


def test_lists_that_do_not_fit(gappy: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(gappy, tmp_path / "avmit"))
    missing, bad = (package / EMBEDDINGS / f"{n}_records.csv" for n in ("missing", "bad"))
    name = missing.read_text().split()[1]
    spoilt = bad.read_text().splitlines()[1].split(",")[0]
    row = name_of(package, TEST, 0)
    lost = "has no row and is not in missing_records.csv or bad_records.csv"

    def complete() -> list[str]:
        ((check, where, found),) = failures(package)
        assert (check, where) == ("complete", EMBEDDINGS)
        return found.split("; ")

    missing.write_text("tfrecord_filename\n")
    gone = "missing_records.csv names 0 videos, the manifest 1"
    assert complete() == [gone, f"{name} {lost}"]
    missing.unlink()
    assert complete() == [gone, f"{name} {lost}"]
    missing.write_text(f"tfrecord_filename\n{row}\n")
    assert complete() == [f"{row} has a row and stands in missing_records.csv", f"{name} {lost}"]
    missing.write_text(f"tfrecord_filename\n{spoilt}\n")
    assert complete() == [f"{spoilt} is listed twice", f"{name} {lost}"]
    missing.write_text("tfrecord_filename\na/b.tfrecord\n")
    assert complete() == [f"{name} {lost}", "a/b.tfrecord is listed and not rated"]
    missing.write_bytes(b"\xff\n\xff\n")
    assert complete()[0].startswith("missing_records.csv cannot be read (")


def test_without_ratings_there_is_less_to_check(copy: Path) -> None:
    for config in avmit.RATINGS_CONFIGS:
        shutil.rmtree(copy / config)
    write_card(copy)
    checks = verify(copy, workers=1)
    assert [check for check in checks if not check.ok] == []
    found = {(check.name, check.where): check.found for check in checks}
    assert found["rows", EMBEDDINGS] == "no ratings in the package"
    assert found["splits", EMBEDDINGS] == "no test_set in the package"
    assert found["release", "."] == "no ratings in the package"
    assert found["unique", EMBEDDINGS] == "no video twice"


def test_without_ratings_the_label_names_must_still_be_sorted(copy: Path) -> None:
    for config in avmit.RATINGS_CONFIGS:
        shutil.rmtree(copy / config)
    features = avmit.embedding_features(128, 512, LABELS[::-1])
    for file in [*TRAIN, TEST]:
        tamper(
            copy,
            EMBEDDINGS,
            file,
            lambda t: t.replace_schema_metadata(arrow_schema(features).metadata),
        )
    found = "its label names are not the sorted AVMIT labels of the ratings"
    assert [text for name, _, text in failures(copy) if name == "schema"] == [found] * 3


# The ratings, and the paper


RATINGS = "train-00000-of-00001.arrow"


def test_rating_sums(copy: Path) -> None:
    name = str(read(copy, "ratings", RATINGS)["tfrecord_filename"][7])

    def lower(table: pa.Table) -> pa.Table:
        for column, value in (("r1", 0), ("r2", 1), ("r3", 1)):
            table = with_values(column, setting(7, value))(table)
        return table

    tamper(copy, "ratings", RATINGS, lower)
    found = [failure for failure in failures(copy) if failure[1] == "ratings"]
    assert found == [("rating sums", "ratings", f"row 7, {name}: 2, and 3 is the least")]


def test_a_negative_count_does_not_hide_in_the_sum(copy: Path) -> None:
    tamper(copy, "ratings", RATINGS, with_values("r1", setting(7, -1)))
    tamper(copy, "ratings", RATINGS, with_values("r3", setting(7, 9)))
    assert ("rating sums", "ratings") in [failure[:2] for failure in failures(copy)]


@pytest.mark.parametrize("value", [0, 4])
def test_raw_ratings_out_of_range(copy: Path, value: int) -> None:
    tamper(copy, "raw_ratings", RATINGS, with_values("rating", setting(3, value)))
    found = f"row 3: {value}, not 1, 2 or 3"
    assert failures(copy) == [("rating values", "raw_ratings", found)]


def test_raw_ratings_that_do_not_add_up_are_a_finding(copy: Path) -> None:
    tamper(copy, "raw_ratings", RATINGS, lambda table: table.slice(1))
    tamper(copy, "raw_ratings", RATINGS, with_values("filename", setting(-1, "x/y.mp4")))
    write_card(copy)
    assert failures(copy) == []
    found = finding(copy, "raw ratings", "raw_ratings")
    assert found == ("add up to r1, r2, r3 for 46 of 48 rated videos; 1 are of no rated video")


def test_a_test_set_that_is_not_of_the_ratings(copy: Path) -> None:
    table = read(copy, "test_set", TEST)
    names = [str(name) for name in table["tfrecord_filename"]]
    tamper(copy, "test_set", TEST, with_values("MIT_label", setting(1, "x")))
    tamper(copy, "test_set", TEST, with_values("tfrecord_filename", setting(0, names[2])))
    found = {name: text for name, where, text in failures(copy) if where == "test_set"}
    assert found["unique"] == f"{names[2]} stands twice"
    first, second = found["rows"].split("; ")
    assert first.startswith(f"row 0, {names[2]}: ")
    assert second.startswith(f"row 1, {names[1]}: MIT_label is x, in ratings ")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The ratings and test set of a release of full size, without embeddings."""
    folder = tmp_path_factory.mktemp("verify-full")
    names = [(n, LABELS[n % 16]) for n in range(57_177)]
    videos = [
        annotations.Video(
            f"{label}/{n}.mp4", 0, 0, 3, label, label, "training", f"{label}/{n}.tfrecord"
        )
        for n, label in names
    ]
    test = [
        annotations.TestVideo(
            f"{label}/{n}.mp4", label, label, "training", "n", f"{label}/{n}.tfrecord"
        )
        for n, label in names[:960]
    ]
    write_rows(folder / "video_ratings.csv", annotations.Video, videos)
    write_rows(folder / "test_set.csv", annotations.TestVideo, test)
    (folder / "raw_video_ratings.csv").write_text(
        "filename,AVMIT_label,MIT_label,video_location,rating\n"
    )
    convert(folder, folder / "avmit", Options(configs=["ratings", "test_set"]))
    yield folder / "avmit"


def _paper(package: Path) -> dict[str, tuple[bool, str]]:
    checks = verify(package, workers=1)
    return {c.name: (c.ok, c.found) for c in checks if c.where == "." and c.name != "package"}


def test_the_full_release_is_held_against_the_paper(full: Path, tmp_path: Path) -> None:
    assert failures(full) == []
    assert _paper(full) == {
        "release": (True, "full: 57,177 rated videos"),
        "test videos": (True, "960"),
        "test classes": (True, "16 classes of 60 to 60"),
    }
    package = Path(shutil.copytree(full, tmp_path / "avmit"))
    tamper(package, "test_set", TEST, lambda table: table.slice(1))
    paper = _paper(package)
    assert paper["test videos"] == (False, "959")
    assert paper["test classes"] == (False, "16 classes of 59 to 60")
    tamper(package, "test_set", TEST, lambda t: t.filter(pc.not_equal(t["AVMIT_label"], "diving")))
    assert _paper(package)["test classes"] == (False, "15 classes of 59 to 60")
    shutil.rmtree(package / "test_set")
    assert _paper(package)["test videos"] == (True, "no test_set in the package")
    tamper(package, "ratings", RATINGS, lambda table: table.slice(1))
    assert _paper(package) == {
        "release": (True, "not the full release (57,176 of 57,177 rated videos)")
    }


# The command


def _run(*arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(verify_command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout


def test_the_command_shows_a_table(good: Path, copy: Path) -> None:
    code, out = _run(good)
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == f"{good}: all holds"
    splits = ["splits", EMBEDDINGS, "ok", "train", "32,", "test", "16"]
    assert splits in [line.split() for line in lines]
    flip(copy / EMBEDDINGS / TEST, 1000, 0)
    code, out = _run(copy, "--workers", 2)
    assert code == 1
    checks = verify(copy, workers=1)
    wrong = [check for check in checks if not check.ok]
    assert out.splitlines()[-1] == f"{copy}: {len(wrong)} of {len(checks)} checks fail"
    for check in wrong:
        assert any(
            line.split()[: len(check.name.split()) + 2]
            == [*check.name.split(), check.where, "FAILS"]
            and line.rstrip().endswith(check.found)
            for line in out.splitlines()
        )


def test_the_command_writes_json(good: Path, copy: Path) -> None:
    code, out = _run(good, "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document) == ["package", "ok", "checks"]
    assert (document["package"], document["ok"]) == (str(good), True)
    assert [Check(**check) for check in document["checks"]] == verify(good, workers=1)
    shard = copy / EMBEDDINGS / TRAIN[0]
    flip(shard, 2000, 5)
    code, out = _run(copy, "--json")
    document = json.loads(out)
    assert (code, document["ok"]) == (1, False)
    wrong = [check for check in document["checks"] if not check["ok"]]
    assert {"name": "sha256", "where": f"{EMBEDDINGS}/{TRAIN[0]}"}.items() <= wrong[0].items()


def test_names_that_are_not_unicode_can_be_shown(copy: Path) -> None:
    (copy / EMBEDDINGS / b"\xff[bold].txt".decode(errors="surrogateescape")).touch()
    for arguments in ([copy], [copy, "--json"]):
        code, out = _run(*arguments)
        assert code == 1
        assert "does not name ?[bold].txt" in out


def test_values_are_looked_at_in_every_batch(tmp_path: Path) -> None:
    """A shard of several record batches, of which the last has the bad value."""
    release = tmp_path / "sources"
    generate_release(release, videos_per_label=6, test_per_label=1, sets=["yamnet_effnet"])
    out = tmp_path / "avmit"
    convert(release, out, Options(workers=1, configs=["ratings", "yamnet_effnet"]))
    file = "train-00000-of-00001.arrow"
    table = read(out, "yamnet_effnet", file)
    assert table["audio"].num_chunks > 1
    last = len(table) - 1

    def spoil(table: pa.Table) -> pa.Table:
        rows = table["visual"].to_pylist()
        rows[last][0][0] = np.inf
        column = pa.chunked_array(
            [pa.array(rows[:10], table["visual"].type), pa.array(rows[10:], table["visual"].type)]
        )
        return table.set_column(9, table.schema.field("visual"), column)

    tamper(out, "yamnet_effnet", file, spoil)
    found = f"NaN or infinity in visual of row {last}"
    assert failures(out) == [("values", f"yamnet_effnet/{file}", found)]
