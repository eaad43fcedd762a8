"""Records out of a package: the ones it was made of, and nothing written that should not be."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import typer
from support.releases import SETS, assert_same_bits, csv_rows, sharded_options
from typer.testing import CliRunner

from avmit import AvmitError
from conversion.convert.build import convert
from conversion.convert.command import export as export_command
from conversion.convert.export import export
from conversion.package.manifest import read_manifest
from conversion.package.writer import Encoding
from conversion.tfrecord.record import BadRecord, read_record

CONFIG = "vggish_vgg16"
SHARD = "train-00000-of-00002.arrow"


@pytest.fixture(scope="module")
def good(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of both sets in several shards; not written to."""
    out = tmp_path_factory.mktemp("export-package") / "avmit"
    convert(release, out, sharded_options())
    return out


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    """A copy of the good package, to be damaged."""
    return Path(shutil.copytree(good, tmp_path / "avmit"))


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def rewrite(package: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a shard and let its manifest agree with it."""
    path = package / CONFIG / SHARD
    with pa.ipc.open_stream(path.read_bytes()) as reader:
        table = change(reader.read_all())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    path.write_bytes(data)
    manifest = json.loads((package / CONFIG / "manifest.json").read_text())
    shard = next(s for s in manifest["splits"]["train"] if s["file"] == SHARD)
    shard.update(bytes=len(data), rows=len(table), sha256=hashlib.sha256(data).hexdigest())
    (package / CONFIG / "manifest.json").write_text(json.dumps(manifest))


def with_value(column: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        field = table.schema.field(column)
        array = pa.array(values, field.type)
        return table.set_column(table.schema.get_field_index(column), field, array)

    return change


@pytest.mark.parametrize("config", list(SETS))
def test_the_records_are_those_of_the_release(
    release: Path, good: Path, tmp_path: Path, config: str
) -> None:
    told: list[tuple[int, int]] = []
    count = export(good, config, tmp_path / "out", 1, lambda *pair: told.append(pair))
    labels = {
        row["tfrecord_filename"]: row["AVMIT_label"]
        for row in csv_rows(release / "video_ratings.csv")
    }
    written = files(tmp_path / "out")
    assert count == len(labels) == 48
    assert written.keys() == labels.keys()
    assert {total for _, total in told} == {48}
    assert sum(done for done, _ in told) == 48
    for name, data in written.items():
        record = read_record(data)
        published = read_record((release / SETS[config] / name).read_bytes())
        assert (record.filename, record.label) == (published.filename, labels[name])
        assert_same_bits(record.audio, published.audio)
        assert_same_bits(record.visual, published.visual)
        assert data[4:8] == bytes(4)  # no time in the gzip header


@pytest.mark.parametrize(
    "encoding", [Encoding(), Encoding("arrow", "lz4"), Encoding("parquet", "zstd")]
)
def test_convert_export_convert_gives_the_same_shards(
    release: Path, tmp_path: Path, encoding: Encoding
) -> None:
    convert(release, tmp_path / "first", sharded_options(encoding=encoding))
    again = tmp_path / "again"
    for config in SETS:
        export(tmp_path / "first", config, again / config, 2)
    for path in release.glob("*.csv"):
        shutil.copy(path, again)
    convert(again, tmp_path / "second", sharded_options(encoding=encoding))
    for config in SETS:
        first, second = (
            {n: data for n, data in files(tmp_path / name / config).items() if "-of-" in n}
            for name in ("first", "second")
        )
        assert len(first) >= 3
        assert first == second


def test_processes_write_the_same_bytes(good: Path, tmp_path: Path) -> None:
    assert export(good, CONFIG, tmp_path / "one", 1) == 48
    assert export(good, CONFIG, tmp_path / "three", 3) == 48
    assert files(tmp_path / "one") == files(tmp_path / "three")


def test_an_earlier_export_is_gone_on_with(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(good, CONFIG, out, 1)
    whole = files(out)
    first, second = list(whole)[:2]
    (out / first).unlink()
    kept = (out / second).stat()
    assert export(good, CONFIG, out, 1) == 48
    assert files(out) == whole
    assert (out / second).stat() == kept


def test_a_record_that_is_there_and_another_is_not_replaced(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(good, CONFIG, out, 1)
    whole = files(out)
    name = list(whole)[3]
    (out / name).write_bytes(b"mine")
    with pytest.raises(AvmitError) as stopped:
        export(good, CONFIG, out, 1)
    assert str(stopped.value) == (
        f"{out / name} is there already and is another record, which is not replaced: choose an "
        "empty folder as --out"
    )
    assert files(out) == {**whole, name: b"mine"}


def test_an_export_follows_no_link_out_of_its_folder(good: Path, tmp_path: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.write_bytes(b"mine")
    export(good, CONFIG, out, 1)
    name = next(iter(files(out)))
    (out / name).unlink()
    (out / name).symlink_to(victim)
    with pytest.raises(AvmitError, match="is there already and is another record"):
        export(good, CONFIG, out, 1)
    (out / name).unlink()
    (out / name).with_name(f".{Path(name).name}.part").symlink_to(victim)
    with pytest.raises(AvmitError, match="is not a record of this config"):
        export(good, CONFIG, out, 1)
    assert victim.read_bytes() == b"mine"


def test_an_interrupted_export_leaves_whole_records_only(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(good, CONFIG, out, 1, interrupt)
    written = files(out)
    assert 0 < len(written) < 48
    for data in written.values():
        read_record(data)


def test_a_record_that_cannot_be_written_leaves_nothing(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(good, CONFIG, out, 1)
    name = min(files(out))
    (out / name).unlink()
    (out / name).mkdir()
    with pytest.raises(AvmitError, match="is not a record of this config"):
        export(good, CONFIG, out, 1)
    assert not list(out.rglob("*.part"))


@pytest.mark.parametrize("strange", ["notes.txt", "barking/notes.tfrecord", "other/x.tfrecord"])
def test_other_files_are_left_alone(good: Path, tmp_path: Path, strange: str) -> None:
    out = tmp_path / "out"
    (out / strange).parent.mkdir(parents=True)
    (out / strange).write_bytes(b"mine")
    with pytest.raises(AvmitError) as refused:
        export(good, CONFIG, out, 1)
    place = out / strange if strange.startswith(("notes", "barking")) else out / "other"
    assert str(refused.value) == (
        f"{place} is not a record of this config: choose an empty folder as --out"
    )
    assert files(out) == {strange: b"mine"}


def test_links_are_not_followed(good: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/barking").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AvmitError, match="out/barking is not a record of this config"):
        export(good, CONFIG, tmp_path / "out", 1)
    assert files(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("place", ["out", "out/below"])
def test_a_file_where_the_folder_should_be(good: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(AvmitError, match=r"choose another --out$"):
        export(good, CONFIG, tmp_path / place, 1)
    assert (tmp_path / "out").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("nothing", "no config 'nothing' in {package}; choose from vggish_vgg16, yamnet_effnet"),
        (
            "ratings",
            "'ratings' does not hold both audio and visual embeddings, as a record must; "
            "choose from vggish_vgg16, yamnet_effnet",
        ),
    ],
)
def test_configs_that_cannot_be_exported(
    good: Path, tmp_path: Path, config: str, line: str
) -> None:
    with pytest.raises(AvmitError) as refused:
        export(good, config, tmp_path / "out", 1)
    assert str(refused.value) == line.format(package=good)
    assert not (tmp_path / "out").exists()


def test_a_config_of_one_modality_cannot_be_exported(copy: Path, tmp_path: Path) -> None:
    path = copy / CONFIG / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["dims"]["visual"]
    for shard in (shard for shards in manifest["splits"].values() for shard in shards):
        del shard["timesteps"]["visual"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(AvmitError, match=r"both audio .* choose from yamnet_effnet$"):
        export(copy, CONFIG, tmp_path / "out", 1)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/x.tfrecord",
        "/x.tfrecord",
        "../x.tfrecord",
        "barking/../../x.tfrecord",
        "..\\x.tfrecord",
        "c:/x.tfrecord",
        "barking/./x.tfrecord",
        "barking//x.tfrecord",
        "x.tfrecord",
        "a/b/x.tfrecord",
        "barking/x",
        "barking/.tfrecord",
        "barking/\0.tfrecord",
        "",
        None,
    ],
)
def test_names_that_lead_elsewhere_are_refused(
    copy: Path, tmp_path: Path, name: str | None
) -> None:
    rewrite(copy, with_value("tfrecord_filename", 3, name))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(AvmitError) as refused:
        export(copy, CONFIG, tmp_path / "out", 1)
    assert str(refused.value).startswith(f"{copy / CONFIG}: tfrecord_filename {name!r} is not of")
    assert "\n" not in str(refused.value)
    assert set(tmp_path.rglob("*")) == before


def test_a_name_that_stands_twice_is_refused(copy: Path, tmp_path: Path) -> None:
    rewrite(copy, lambda table: pa.concat_tables([table.slice(0, 1), table]))
    with pytest.raises(AvmitError, match="stands in two rows: convert the config again"):
        export(copy, CONFIG, tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_shard_is_not_exported(
    copy: Path, tmp_path: Path, damage: str, workers: int
) -> None:
    path = copy / CONFIG / SHARD
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[:-8])
    with pytest.raises(AvmitError) as refused:
        export(copy, CONFIG, tmp_path / "out", workers)
    assert str(refused.value) == (
        f"{path} is not as its manifest says: `avmit verify` shows how; bring it again"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            with_value("audio", 2, None),
            "has nulls, which no row has: make or fetch the config again",
        ),
        (
            with_value("audio", 2, [None] * 3),
            "has nulls, which no row has: make or fetch the config again",
        ),
        (with_value("filename", 2, None), "has nulls, which no row has: make or"),
        (with_value("label", 2, 16), "has label 16, which has no name"),
        (lambda table: table.drop_columns(["audio"]), "no column audio: make or fetch"),
    ],
)
def test_rows_that_no_record_can_hold(
    copy: Path, tmp_path: Path, change: Callable[[pa.Table], pa.Table], line: str
) -> None:
    rewrite(copy, change)
    with pytest.raises(AvmitError) as refused:
        export(copy, CONFIG, tmp_path / "out", 1)
    assert line in str(refused.value)
    assert str(refused.value).startswith(str(copy / CONFIG / SHARD))


def test_widths_that_are_not_the_manifests(copy: Path, tmp_path: Path) -> None:
    path = copy / CONFIG / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["dims"]["audio"] = 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(
        AvmitError, match=r"audio is list.*\[128\]>, not list.*\[64\]>: make or fetch the config"
    ):
        export(copy, CONFIG, tmp_path / "out", 1)


def test_damage_to_an_exported_record_is_seen_by_its_sums(good: Path, tmp_path: Path) -> None:
    export(good, CONFIG, tmp_path / "out", 1)
    data = bytearray(next(iter(files(tmp_path / "out").values())))
    expected = read_record(bytes(data))
    for offset in np.linspace(10, len(data) - 1, 40).astype(int):
        data[offset] ^= 0x10
        with pytest.raises(BadRecord):
            read_record(bytes(data))
        data[offset] ^= 0x10
    assert_same_bits(read_record(bytes(data)).audio, expected.audio)


def test_the_command_says_what_was_written(good: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(export_command)
    out = tmp_path / "out"
    arguments = [str(good), "--config", CONFIG, "--out", str(out), "--workers", "2"]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (0, f"{out}: 48 records of {CONFIG}\n")
    manifest = read_manifest(good / CONFIG)
    assert len(files(out)) == sum(map(manifest.rows, manifest.splits))
