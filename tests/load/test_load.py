"""`avmit.load`, the short way to a package's rows."""

import re
import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from support.hub.server import HubServer
from support.releases import (
    CONFIGS,
    CSV,
    SPLITS,
    assert_same_rows,
    edit_row,
    expected_rows,
    sharded_options,
    shards,
    write_set,
)

import avmit
from conversion.convert.build import Options, convert
from conversion.package.schema import arrow_schema
from conversion.package.writer import Encoding, ShardWriter, list_array


@pytest.fixture(scope="module")
def several_shards(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("several") / "avmit"
    convert(release, out, Options(workers=1, max_shard_bytes=200_000))
    assert len(shards(out, "vggish_vgg16", "train")) > 2
    return out


def copied(package: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "avmit"
    shutil.copytree(package, copy)
    return copy


def error(*arguments: Any, **options: Any) -> str:
    with pytest.raises(avmit.AvmitError) as raised:
        avmit.load(*arguments, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
@pytest.mark.parametrize("config", CONFIGS)
def test_all_splits(
    release: Path, several_shards: Path, cache: Path, config: str, streaming: bool
) -> None:
    loaded = avmit.load(config, data_dir=several_shards, streaming=streaming)
    kind = datasets.IterableDatasetDict if streaming else datasets.DatasetDict
    assert isinstance(loaded, kind)
    assert list(loaded) == SPLITS[config]
    for split in loaded:
        assert_same_rows(loaded[split], expected_rows(release, config, split))


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
def test_one_split(release: Path, package: Path, cache: Path, streaming: bool) -> None:
    loaded = avmit.load("vggish_vgg16", "test", data_dir=package, streaming=streaming)
    assert isinstance(loaded, datasets.IterableDataset if streaming else datasets.Dataset)
    assert str(loaded.split) == "test"
    assert_same_rows(loaded, expected_rows(release, "vggish_vgg16", "test"))


def test_the_default_is_the_ratings(release: Path, package: Path) -> None:
    loaded = avmit.load(data_dir=package)
    assert_same_rows(loaded["train"], expected_rows(release, "ratings", "train"))


def test_features_are_those_of_plain_datasets(package: Path, cache: Path) -> None:
    for config in CONFIGS:
        split = SPLITS[config][0]
        plain = datasets.load_dataset(str(package), config, split=split)
        assert avmit.load(config, split, data_dir=package).features == plain.features


def test_a_mapped_dataset_says_what_it_is(package: Path) -> None:
    info = avmit.load("vggish_vgg16", "train", data_dir=package).info
    assert (info.builder_name, info.config_name) == ("avmit", "vggish_vgg16")
    assert "2308.09685" in info.citation


def test_numpy_rows_are_matrices(package: Path) -> None:
    row = avmit.load("vggish_vgg16", "train", data_dir=package).with_format("numpy")[0]
    assert row["audio"].shape == (3, 128)
    assert row["audio"].dtype == "float32"


def test_an_unknown_config(package: Path) -> None:
    assert error("clip", data_dir=package) == (
        f"no config 'clip' in {package}; there are: "
        "ratings, raw_ratings, test_set, vggish_vgg16, yamnet_effnet"
    )


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
@pytest.mark.parametrize("split", ["val", "val[:10%]", "train+val"])
def test_an_unknown_split(package: Path, cache: Path, split: str, streaming: bool) -> None:
    message = error("vggish_vgg16", split, data_dir=package, streaming=streaming)
    assert message == "no split 'val' in config 'vggish_vgg16'; there are: train, test"


def test_a_split_that_only_other_configs_have(package: Path) -> None:
    message = error("test_set", "train", data_dir=package)
    assert message == "no split 'train' in config 'test_set'; there are: test"


@pytest.mark.parametrize(
    "split",
    [
        "train",
        "train+test",
        "test+train",
        "train[:10%]+test",
        "train[:5]",
        "train[5:]",
        "train[3:7]",
        "train[-4:]",
        "train[:-4]",
        "train[25%:50%]",
        "train[:3]+train[3:6]+test[:2]",
        "train[:1000]",
        "all",
    ],
)
def test_split_expressions_mean_what_they_mean_to_datasets(
    package: Path, cache: Path, split: str
) -> None:
    plain = datasets.load_dataset(str(package), "vggish_vgg16", split=split)
    loaded = avmit.load("vggish_vgg16", split, data_dir=package)
    assert list(loaded["filename"]) == list(plain["filename"])


@pytest.mark.parametrize("split", ["train[:0]", "train[:1%]", "train[9:9]", "train[1000:]"])
def test_an_expression_that_selects_no_row_gives_none(package: Path, split: str) -> None:
    # Plain datasets refuses these; both no rows and one line that says so are right.
    try:
        loaded = avmit.load("vggish_vgg16", split, data_dir=package)
    except avmit.AvmitError:
        return
    assert len(loaded) == 0


@pytest.mark.parametrize("split", ["train[:10%]", "train[:2]+test"])
def test_a_stream_of_part_of_a_split_is_refused_in_one_line(
    package: Path, cache: Path, split: str
) -> None:
    assert split in error("vggish_vgg16", split, data_dir=package, streaming=True)


@pytest.mark.parametrize("split", ["train[:10", "train[a:b]", ""])
def test_a_split_that_cannot_be_read_is_one_line(package: Path, split: str) -> None:
    assert error("vggish_vgg16", split, data_dir=package)


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
@pytest.mark.parametrize(
    "columns",
    [["audio", "label"], ["label", "audio"], ["filename"], ["visual", "r3", "r1"]],
    ids=str,
)
def test_only_the_columns_asked_for_in_their_order(
    release: Path, several_shards: Path, cache: Path, columns: list[str], streaming: bool
) -> None:
    loaded = avmit.load(
        "vggish_vgg16", "train", data_dir=several_shards, columns=columns, streaming=streaming
    )
    assert list(loaded.features) == columns
    wanted = [
        {name: row[name] for name in columns}
        for row in expected_rows(release, "vggish_vgg16", "train")
    ]
    assert_same_rows(loaded, wanted)


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
def test_an_unknown_column(package: Path, cache: Path, streaming: bool) -> None:
    message = error("ratings", data_dir=package, columns=["r1", "r4"], streaming=streaming)
    assert message == (
        "no column r4; there are: filename, r1, r2, r3, AVMIT_label, MIT_label, video_location, "
        "tfrecord_filename"
    )
    assert error("ratings", data_dir=package, columns=[], streaming=streaming).startswith(
        "no column (); there are: filename, "
    )


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
def test_one_column_may_be_a_string(package: Path, cache: Path, streaming: bool) -> None:
    loaded = avmit.load("ratings", "train", data_dir=package, columns="r1", streaming=streaming)
    assert list(next(iter(loaded))) == ["r1"]
    message = error("ratings", data_dir=package, columns="audio", streaming=streaming)
    assert message.startswith("no column audio; there are: filename, ")


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
def test_a_column_twice_is_refused(package: Path, cache: Path, streaming: bool) -> None:
    assert "r1" in error("ratings", data_dir=package, columns=["r1", "r1"], streaming=streaming)


def test_columns_with_a_split_expression(release: Path, package: Path) -> None:
    loaded = avmit.load("vggish_vgg16", "test+train[:3]", data_dir=package, columns=["audio"])
    test, train = (expected_rows(release, "vggish_vgg16", split) for split in ("test", "train"))
    assert_same_rows(loaded, [{"audio": row["audio"]} for row in [*test, *train[:3]]])


@pytest.mark.parametrize("columns", [None, ["label", "audio"]], ids=str)
def test_local_shards_are_mapped_and_not_copied(
    several_shards: Path, cache: Path, columns: list[str] | None
) -> None:
    loaded = avmit.load("vggish_vgg16", "train", data_dir=several_shards, columns=columns)
    mapped = [Path(file["filename"]).resolve() for file in loaded.cache_files]
    assert mapped == shards(several_shards, "vggish_vgg16", "train")
    assert all(file.is_symlink() for file in cache.rglob("*.arrow"))


def test_what_map_computes_is_not_written_into_the_package(package: Path, cache: Path) -> None:
    before = sorted(package.rglob("*"))
    loaded = avmit.load("vggish_vgg16", "train", data_dir=package)
    assert len(loaded.map(lambda row: {"steps": len(row["audio"])})) == len(loaded)
    assert sorted(package.rglob("*")) == before


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
def test_a_config_that_is_not_built_in(
    small_release: Path, tmp_path: Path, cache: Path, streaming: bool
) -> None:
    path = write_set(small_release, "clip", (8, 16))
    convert(small_release, tmp_path / "avmit", Options(tfrecords={"clip-b32": path}, workers=1))
    loaded = avmit.load("clip-b32", data_dir=tmp_path / "avmit", streaming=streaming)
    for split in ("train", "test"):
        assert_same_rows(loaded[split], expected_rows(small_release, "clip-b32", split, "clip"))


@pytest.mark.parametrize("streaming", [False, True], ids=["cached", "streamed"])
@pytest.mark.parametrize(
    "encoding",
    [Encoding("arrow", "lz4"), Encoding("arrow", "zstd"), Encoding("parquet", "zstd")],
    ids=str,
)
def test_compressed_and_parquet_packages(
    small_release: Path, tmp_path: Path, cache: Path, encoding: Encoding, streaming: bool
) -> None:
    out = tmp_path / "avmit"
    convert(small_release, out, Options(workers=1, encoding=encoding, max_shard_bytes=100_000))
    for config in ("vggish_vgg16", "ratings"):
        loaded = avmit.load(config, "train", data_dir=out, streaming=streaming)
        assert_same_rows(loaded, expected_rows(small_release, config, "train"))
    columns = ["audio", "label"]
    part = avmit.load("vggish_vgg16", data_dir=out, columns=columns, streaming=streaming)
    for split in ("train", "test"):
        wanted = expected_rows(small_release, "vggish_vgg16", split)
        assert_same_rows(part[split], [{name: row[name] for name in columns} for row in wanted])


FORMATS = {
    "vggish_vgg16": Encoding("arrow", "zstd"),
    "raw_ratings": Encoding("parquet"),
    "test_set": Encoding("parquet", "zstd"),
}


@pytest.fixture(scope="module")
def mixed(sharded_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose configs are of different formats."""
    folder = tmp_path_factory.mktemp("mixed")
    convert(sharded_release, folder / "avmit", Options(configs=["ratings"], workers=1))
    for config, encoding in FORMATS.items():
        options = sharded_options(configs=[config], encoding=encoding)
        convert(sharded_release, folder / config, options)
        shutil.copytree(folder / config / config, folder / "avmit" / config)
    return folder / "avmit"


@pytest.mark.parametrize("streaming", [False, True], ids=["loaded", "streamed"])
@pytest.mark.parametrize("config", ["ratings", *FORMATS])
def test_each_config_of_a_package_of_mixed_formats(
    sharded_release: Path, mixed: Path, cache: Path, config: str, streaming: bool
) -> None:
    loaded = avmit.load(config, data_dir=mixed, streaming=streaming)
    assert list(loaded) == SPLITS[config]
    for split in loaded:
        assert_same_rows(loaded[split], expected_rows(sharded_release, config, split))


@pytest.mark.parametrize("streaming", [False, True], ids=["loaded", "streamed"])
def test_a_repository_of_mixed_formats(
    hub: HubServer, sharded_release: Path, mixed: Path, cache: Path, streaming: bool
) -> None:
    hub.put_folder("ann/mixed", mixed)
    for config in ("ratings", *FORMATS):
        loaded = avmit.load(config, data_dir="ann/mixed", streaming=streaming)
        for split in loaded:
            assert_same_rows(loaded[split], expected_rows(sharded_release, config, split))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells what is in memory")
def test_checking_a_mapped_shard_leaves_its_embeddings_on_disk(tmp_path: Path, cache: Path) -> None:
    features = avmit.embedding_features(1024, 1280, ["a"])
    schema = arrow_schema(features)
    path = tmp_path / "avmit" / "wide" / "train-00000-of-00001.arrow"
    path.parent.mkdir(parents=True)
    audio, visual = (
        list_array(np.ones((60 * 6, dim), np.float32), [6] * 60) for dim in (1024, 1280)
    )
    with ShardWriter(path, schema, Encoding()) as writer:
        for _ in range(20):
            columns = [
                *(
                    pa.array(["x"] * 60) if pa.types.is_string(f.type) else pa.array([0] * 60)
                    for f in list(schema)[:-2]
                ),
                audio,
                visual,
            ]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
    loaded = avmit.load("wide", "train", data_dir=tmp_path / "avmit")
    assert len(loaded) == 1200
    # The kernel maps 64 KiB around each page that is touched, if they are in its cache.
    assert resident(path) < writer.bytes / 10
    assert sum(float(row["visual"][5, 0]) for row in loaded.with_format("numpy")) == 1200
    assert resident(path) > writer.bytes / 10


def resident(path: Path) -> int:
    """Count the bytes of a mapped file that are in this process's memory."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ours = line.endswith(str(path))
        elif ours and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
def test_a_missing_shard(
    several_shards: Path, tmp_path: Path, cache: Path, streaming: bool
) -> None:
    package = copied(several_shards, tmp_path)
    paths = shards(package, "vggish_vgg16", "train")
    paths[1].unlink()
    message = error("vggish_vgg16", data_dir=package, streaming=streaming)
    assert message == (
        f"{package / 'vggish_vgg16'}: shard 1 of {len(paths)} of split 'train' is missing or "
        "stands twice; bring the whole folder again"
    )


@pytest.mark.parametrize(
    "encoding", [Encoding(), Encoding("arrow", "zstd"), Encoding("parquet")], ids=str
)
def test_a_rebuilt_package_is_not_served_from_a_stale_cache(
    small_release: Path, tmp_path: Path, cache: Path, encoding: Encoding
) -> None:
    options = Options(workers=1, encoding=encoding)
    for location in ("validation", "training", "validation"):
        edit_row(small_release / CSV["test_set"], 0, video_location=location)
        name = expected_rows(small_release, "test_set", "test")[0]["tfrecord_filename"]
        rows = expected_rows(small_release, "ratings", "train")
        index = [row["tfrecord_filename"] for row in rows].index(name)
        edit_row(small_release / CSV["ratings"], index, video_location=location)
        convert(small_release, tmp_path / "avmit", options)
        for streaming in (False, True):
            loaded = avmit.load(
                "vggish_vgg16", "test", data_dir=tmp_path / "avmit", streaming=streaming
            )
            assert_same_rows(loaded, expected_rows(small_release, "vggish_vgg16", "test"))


def test_reading_leaves_the_package_as_it_was(package: Path, tmp_path: Path, cache: Path) -> None:
    copy = copied(package, tmp_path)
    before = sorted(copy.rglob("*"))
    loaded = avmit.load("ratings", "train", data_dir=copy)
    assert sum(loaded["r3"]) > 0
    assert sorted(copy.rglob("*")) == before
