"""The package says exactly what the CSVs and the records say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.commands import Run
from support.releases import (
    CONFIGS,
    CSV,
    DIMS,
    SETS,
    SPLITS,
    assert_same_rows,
    csv_rows,
    edit_record,
    edit_row,
    expected_rows,
    shard_rows,
    shards,
    visible,
    write_csv,
)

from conversion.convert.build import Options, convert
from conversion.package.manifest import read_manifest, sha256_of
from conversion.package.writer import Encoding


@pytest.mark.parametrize(
    ("config", "split"), [(config, split) for config in CONFIGS for split in SPLITS[config]]
)
def test_rows_order_and_columns(release: Path, package: Path, config: str, split: str) -> None:
    wanted = expected_rows(release, config, split)
    assert wanted
    assert_same_rows(shard_rows(package, config, split), wanted)


def test_the_folder_holds_nothing_else(package: Path) -> None:
    files = {
        f"{config}/{split}-00000-of-00001.arrow" for config in CONFIGS for split in SPLITS[config]
    }
    beside = {f"{config}/{name}.json" for config in CONFIGS for name in ("manifest", "index")}
    assert set(visible(package)) == {"README.md"} | files | beside


@pytest.mark.parametrize("config", SETS)
def test_arrow_types(package: Path, config: str) -> None:
    with pa.ipc.open_stream(shards(package, config, "train")[0].read_bytes()) as reader:
        types = {field.name: field.type for field in reader.schema}
    audio, visual = DIMS[config]
    assert types["label"] == pa.int64()
    assert types["audio"] == pa.list_(pa.list_(pa.float32(), audio))
    assert types["visual"] == pa.list_(pa.list_(pa.float32(), visual))
    assert {types[name] for name in ("r1", "r2", "r3")} == {pa.int64()}
    assert {types[name] for name in ("filename", "MIT_label", "tfrecord_filename")} == {pa.string()}


@pytest.mark.parametrize("config", CONFIGS)
def test_the_manifest_has_the_sums_of_the_shards(package: Path, config: str) -> None:
    manifest = read_manifest(package / config)
    assert manifest.config == config
    assert list(manifest.splits) == SPLITS[config]
    assert manifest.dims == (dict(zip(("audio", "visual"), DIMS.get(config, ()), strict=False)))
    for split, listed in manifest.splits.items():
        paths = shards(package, config, split)
        assert [shard.file for shard in listed] == [path.name for path in paths]
        assert [shard.bytes for shard in listed] == [path.stat().st_size for path in paths]
        assert [shard.sha256 for shard in listed] == [sha256_of(path) for path in paths]
        assert manifest.rows(split) == len(shard_rows(package, config, split))


def test_the_manifest_says_where_it_is_from(release: Path, package: Path) -> None:
    for config, name in CSV.items():
        source = read_manifest(package / config).source
        assert source == {"kind": "csv", "name": name, "sha256": sha256_of(release / name)}
    for config, name in SETS.items():
        source = read_manifest(package / config).source
        assert source == {"kind": "tfrecords", "name": name, "records": 48, "strays": 1}


def test_timesteps_in_the_manifest_are_those_of_the_rows(package: Path) -> None:
    for config in SETS:
        manifest = read_manifest(package / config)
        rows = [row for split in SPLITS[config] for row in shard_rows(package, config, split)]
        for column in ("audio", "visual"):
            lengths = [len(row[column]) for row in rows]
            assert manifest.timesteps(column) == (min(lengths), max(lengths))


@pytest.mark.parametrize("label", ["the row's", "the folder's"])
def test_where_folder_and_label_differ_a_record_has_either(
    small_release: Path, tmp_path: Path, label: str
) -> None:
    ratings = csv_rows(small_release / CSV["ratings"])
    test = {row["tfrecord_filename"] for row in csv_rows(small_release / CSV["test_set"])}
    index, row = next((i, r) for i, r in enumerate(ratings) if r["tfrecord_filename"] not in test)
    old = row["AVMIT_label"]
    new = "whistling" if old == "barking" else "barking"
    edit_row(small_release / CSV["ratings"], index, AVMIT_label=new)
    if label == "the row's":
        path = small_release / SETS["vggish_vgg16"] / row["tfrecord_filename"]
        edit_record(path, lambda record: replace(record, label=new))
    convert(small_release, tmp_path / "avmit", Options(workers=1))
    wanted = expected_rows(small_release, "vggish_vgg16", "train")
    assert_same_rows(shard_rows(tmp_path / "avmit", "vggish_vgg16", "train"), wanted)
    names = sorted({row["AVMIT_label"] for row in ratings} | {new})
    found = next(r for r in wanted if r["tfrecord_filename"] == row["tfrecord_filename"])
    assert names[found["label"]] == new


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding("arrow", "lz4"),
        Encoding("arrow", "zstd"),
        Encoding("parquet", "none"),
        Encoding("parquet", "lz4"),
        Encoding("parquet", "zstd"),
    ],
    ids=str,
)
def test_other_encodings_hold_equal_rows(release: Path, tmp_path: Path, encoding: Encoding) -> None:
    convert(release, tmp_path / "avmit", Options(workers=1, encoding=encoding))
    for config in CONFIGS:
        for split in SPLITS[config]:
            paths = shards(tmp_path / "avmit", config, split)
            assert {path.suffix for path in paths} == {f".{encoding.format}"}
            rows = shard_rows(tmp_path / "avmit", config, split)
            assert_same_rows(rows, expected_rows(release, config, split))


@pytest.mark.parametrize(("name", "codec"), [("none", "UNCOMPRESSED"), ("zstd", "ZSTD")])
def test_parquet_has_the_compression_asked_for(
    small_release: Path, run: Run, tmp_path: Path, name: str, codec: str
) -> None:
    ran = run("convert", small_release, "--format", "parquet", "--compression", name)
    assert ran.code == 0
    (path,) = shards(tmp_path / "avmit", "vggish_vgg16", "train")
    group: Any = pq.ParquetFile(path).metadata.row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {codec}


def test_compression_makes_arrow_smaller(small_release: Path, run: Run, tmp_path: Path) -> None:
    sizes = []
    for compression in ("none", "zstd"):
        run("convert", small_release, "--out", compression, "--compression", compression)
        sizes.append(shards(tmp_path / compression, "vggish_vgg16", "train")[0].stat().st_size)
    assert sizes[1] < sizes[0]


def test_shards_are_cut_to_the_size_asked_for(small_release: Path, tmp_path: Path) -> None:
    out, limit = tmp_path / "avmit", 60_000
    convert(small_release, out, Options(workers=1, max_shard_bytes=limit))
    paths = shards(out, "vggish_vgg16", "train")
    assert len(paths) > 2
    count = len(paths)
    assert [path.name for path in paths] == [
        f"train-{index:05d}-of-{count:05d}.arrow" for index in range(count)
    ]
    manifest = read_manifest(out / "vggish_vgg16")
    rows = [shard.rows for shard in manifest.splits["train"]]
    assert max(rows) - min(rows) <= 1
    # What a shard's rows take in arrays; the strings and the schema come on top.
    assert max(rows) * (3 * 128 + 7 * 512) * 4 <= limit
    wanted = expected_rows(small_release, "vggish_vgg16", "train")
    assert_same_rows(shard_rows(out, "vggish_vgg16", "train"), wanted)


def test_a_shard_is_never_empty_however_small_the_limit(
    small_release: Path, tmp_path: Path
) -> None:
    convert(small_release, tmp_path / "avmit", Options(workers=1, max_shard_bytes=1))
    manifest = read_manifest(tmp_path / "avmit" / "vggish_vgg16")
    assert {shard.rows for shard in manifest.splits["train"]} == {1}


def test_a_release_without_test_rows_has_no_test_split(small_release: Path, tmp_path: Path) -> None:
    path = small_release / CSV["test_set"]
    header = path.read_text(encoding="utf-8").partition("\n")[0]
    path.write_text(header + "\n", encoding="utf-8")
    convert(small_release, tmp_path / "avmit", Options(workers=1))
    assert list(read_manifest(tmp_path / "avmit" / "vggish_vgg16").splits) == ["train"]


def test_the_order_is_that_of_the_ratings_not_of_the_test_set(
    small_release: Path, tmp_path: Path
) -> None:
    path = small_release / CSV["test_set"]
    write_csv(path, csv_rows(path)[::-1])
    convert(small_release, tmp_path / "avmit", Options(workers=1))
    for config in ("vggish_vgg16", "test_set"):
        wanted = expected_rows(small_release, config, "test")
        assert_same_rows(shard_rows(tmp_path / "avmit", config, "test"), wanted)
