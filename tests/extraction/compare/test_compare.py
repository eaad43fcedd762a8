"""Comparing two configs: every number worked out by hand."""

import json
import shutil
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from support.commands import Run
from support.releases import csv_rows, edit_record

from avmit import AvmitError
from conversion.convert.build import Options, convert
from conversion.package.schema import arrow_schema
from conversion.package.writer import Encoding
from conversion.release.generate import generate_release
from conversion.tfrecord.record import Record
from extraction.compare.comparison import Comparison, compare, differences


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A release whose set of records stands there twice, as A and B."""
    folder = tmp_path / "sources"
    generate_release(folder, videos_per_label=2, test_per_label=1, sets=["vggish_vgg16"])
    (folder / "VGGish_VGG16").rename(folder / "A")
    shutil.copytree(folder / "A", folder / "B")
    return folder


def compared(sources: Path, encoding: Encoding | None = None) -> Comparison:
    out = sources.with_name("avmit")
    sets = {"a": sources / "A", "b": sources / "B"}
    options = Options(
        tfrecords=sets, workers=1, max_shard_bytes=200_000, encoding=encoding or Encoding()
    )
    convert(sources, out, options)
    return compare(out, "a", "b")


def name(sources: Path, index: int) -> str:
    return csv_rows(sources / "video_ratings.csv")[index]["tfrecord_filename"]


@pytest.mark.parametrize(
    "encoding", [Encoding(), Encoding("arrow", "zstd"), Encoding("parquet", "none")]
)
def test_the_same_embeddings(sources: Path, encoding: Encoding) -> None:
    found = compared(sources, encoding)
    assert list(found.columns) == ["audio", "visual"]
    for column in found.columns.values():
        assert column.videos == 32
        assert (column.worst_absolute, column.worst_relative, column.mismatches) == (0, 0, 0)
        assert column.worst_cosine == pytest.approx(1, abs=1e-12)
    assert (found.only_a, found.only_b) == (0, 0)


def test_what_differs_is_found(sources: Path) -> None:
    kept: dict[str, float] = {}

    def change(record: Record) -> Record:
        visual = record.visual.copy()
        kept["steps"], kept["norm"] = len(visual), float(np.linalg.norm(visual[2]))
        visual[2] *= np.float32(1.5)
        kept["largest"] = float(np.abs(visual[2] / 3).max())
        return Record(record.filename, record.label, record.audio, visual)

    edit_record(sources / "B" / name(sources, 5), change)
    found = compared(sources)
    assert found.columns["audio"].worst_absolute == 0
    visual = found.columns["visual"]
    assert visual.worst_relative == pytest.approx(1 / 3, rel=1e-6)
    assert visual.mean_relative == pytest.approx(1 / 3 / visual.steps, rel=1e-6)
    assert visual.worst_absolute == pytest.approx(kept["largest"], rel=1e-6)
    assert visual.worst_cosine == pytest.approx(1, abs=1e-9)
    assert (found.worst[0].name, found.worst[0].column) == (name(sources, 5), "visual")
    assert len(found.worst) == 10
    assert found.worst[1].relative == 0


def test_timesteps_and_videos_that_only_one_has(sources: Path) -> None:
    edit_record(
        sources / "A" / name(sources, 3),
        lambda r: Record(r.filename, r.label, r.audio[:2], r.visual),
    )
    (sources / "A" / name(sources, 4)).unlink()
    (sources / "B" / name(sources, 6)).unlink()
    (sources / "B" / name(sources, 7)).unlink()
    found = compared(sources)
    assert (found.only_a, found.only_b) == (2, 1)
    assert found.columns["audio"].videos == 29
    assert found.columns["audio"].mismatches == 1
    assert found.columns["audio"].worst_relative == 0
    assert found.worst[0].name == name(sources, 3)
    assert found.worst[0].steps == (2, 3)


def test_differences_of_vectors() -> None:
    a = np.array([[3, 4], [0, 0], [1, 0], [np.nan, 1], [0, 0]], np.float32)
    b = np.array([[4, 3], [0, 0], [-1, 0], [np.nan, 1], [0, 2]], np.float32)
    absolute, relative, cosine = differences(a, b)
    np.testing.assert_allclose(absolute[:3], [[1, 1], [0, 0], [2, 0]])
    np.testing.assert_allclose(relative, [np.sqrt(2) / 5, 0, 2, np.inf, 1])
    np.testing.assert_allclose(cosine, [0.96, 1, -1, 0, 0])
    assert absolute[3, 0] == np.inf


def test_the_command(sources: Path, run: Run) -> None:
    edit_record(
        sources / "B" / name(sources, 5),
        lambda r: Record(r.filename, r.label, -r.audio, r.visual),
    )
    compared(sources)
    ran = run("compare", sources.with_name("avmit"), "a", "b")
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["worst", "relative", "2", "0"] in lines
    assert ["worst", "cosine", "-1.0000000", "1.0000000"] in lines
    worst = next(line for line in lines if line and line[0] == name(sources, 5))
    assert worst[1:3] == ["audio", "2"]


def with_one_column(package: Path, config: str, column: str, name: str) -> None:
    """Add a config to a package that has one modality of another."""
    (package / name).mkdir()
    manifest = json.loads((package / config / "manifest.json").read_text())
    manifest |= {"config": name, "dims": {column: manifest["dims"][column]}}
    for shard in (shard for shards in manifest["splits"].values() for shard in shards):
        shard["timesteps"] = {column: shard["timesteps"][column]}
        table = pa.ipc.open_stream(package / config / shard["file"]).read_all()
        features = datasets.Features.from_arrow_schema(table.schema)
        kept = {
            n: features[n] for n in table.column_names if n in (column, *table.column_names[:8])
        }
        schema = arrow_schema(datasets.Features(kept))
        with pa.OSFile(str(package / name / shard["file"]), "wb") as sink:
            writer = pa.ipc.new_stream(sink, schema)
            writer.write_table(table.select(schema.names).cast(schema))
            writer.close()
    (package / name / "manifest.json").write_text(json.dumps(manifest))


def test_what_cannot_be_compared(package: Path, tmp_path: Path) -> None:
    with pytest.raises(AvmitError, match=r"no config 'mine' in .*: vggish_vgg16, yamnet_effnet"):
        compare(package, "vggish_vgg16", "mine")
    with pytest.raises(AvmitError, match="no embeddings in 'ratings'"):
        compare(package, "ratings", "yamnet_effnet")
    with pytest.raises(AvmitError, match=f"no config 'mine' in {package}; configs with embedd"):
        compare(package, "vggish_vgg16", f"{package}/mine")
    with pytest.raises(AvmitError, match=r"^no folder nowhere: make a package"):
        compare(package, "vggish_vgg16", "nowhere/mine")


def test_no_video_in_common(tmp_path: Path, run: Run) -> None:
    for number, out in enumerate(("avmit", "other")):
        folder = tmp_path / f"sources{number}"
        asked = {"videos_per_label": 2, "test_per_label": 1, "seed": number}
        generate_release(folder, sets=["vggish_vgg16"], **asked)
        (folder / "VGGish_VGG16").rename(folder / "mine")
        convert(folder, tmp_path / out, Options(tfrecords={"mine": folder / "mine"}, workers=1))
    remedy = "have no video in common: name two configs of the same videos"
    ran = run("compare", "avmit", "mine", "other/mine")
    assert (ran.code, ran.out, ran.err) == (
        *(1, ""),
        f"avmit: mine in avmit and mine in other {remedy}\n",
    )
    # The first package need not have a part in it.
    ran = run("compare", "other", f"{tmp_path}/avmit/mine", "mine")
    assert ran.err == f"avmit: mine in {tmp_path}/avmit and mine in other {remedy}\n"
    shutil.copytree(tmp_path / "other" / "mine", tmp_path / "avmit" / "theirs")
    manifest = tmp_path / "avmit" / "theirs" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"mine"', '"theirs"'))
    ran = run("compare", "avmit", "mine", "theirs")
    assert ran.err == f"avmit: mine and theirs in avmit {remedy}\n"


def test_columns_that_one_side_has_alone(copied: Path) -> None:
    with_one_column(copied, "vggish_vgg16", "audio", "heard")
    with_one_column(copied, "vggish_vgg16", "visual", "seen")
    found = compare(copied, "heard", "vggish_vgg16")
    assert (list(found.columns), list(found.similarities)) == (["audio"], ["audio"])
    assert found.skipped == {"visual": "heard has none"}
    with pytest.raises(AvmitError) as error:
        compare(copied, "heard", "seen")
    assert str(error.value) == (
        "heard and seen have no column to compare (audio: seen has none; visual: heard has none): "
        "name two configs that have audio, or visual"
    )
