"""A good package passes every check, and the command says so."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import typer
from support.damage import EMBEDDINGS, TEST, TRAIN, failures, finding, flip, read, tamper
from support.releases import sharded_options
from typer.testing import CliRunner

import avmit
from conversion.convert.build import Options, convert
from conversion.package.writer import Encoding
from conversion.release.generate import generate_release
from conversion.verify.check import Check
from conversion.verify.command import verify as verify_command
from conversion.verify.verification import verify


def test_a_good_package_holds_with_these_findings(sharded_package: Path) -> None:
    checks = verify(sharded_package, workers=1)
    sizes = {
        config: sum(path.stat().st_size for path in (sharded_package / config).glob("*.arrow"))
        for config in (*avmit.RATINGS_CONFIGS, EMBEDDINGS)
    }
    raw = len(read(sharded_package, "raw_ratings", "train-00000-of-00001.arrow"))
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
        count = "3 record batches" if config == EMBEDDINGS else "1 record batch"
        assert found.pop(("index", config)) == f"{count}, as in the shards"
    assert found == {
        ("package", "."): "every folder of shards has its manifest",
        ("format", "."): "arrow",
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
        ("release", "."): (
            "not the full release (48 of 57,177 rated videos): label numbers are of 16 names"
        ),
        ("splits", EMBEDDINGS): "train 32, test 16",
        ("order", EMBEDDINGS): "that of ratings",
        ("complete", EMBEDDINGS): "48 rows, 0 listed without, of 48 rated videos",
    }


def test_processes_find_the_same_and_report_every_byte(sharded_package: Path) -> None:
    told: list[tuple[int, int]] = []
    checks = verify(sharded_package, lambda done, total: told.append((done, total)), workers=3)
    assert checks == verify(sharded_package, workers=1)
    size = sum(path.stat().st_size for path in sharded_package.glob("*/*.arrow"))
    assert {total for _, total in told} == {size}
    assert sum(done for done, _ in told) == size


@pytest.mark.parametrize(
    "encoding", [Encoding("arrow", "lz4"), Encoding("arrow", "zstd"), Encoding("parquet", "zstd")]
)
def test_compressed_shards_and_parquet(
    sharded_release: Path, tmp_path: Path, encoding: Encoding
) -> None:
    out = tmp_path / "avmit"
    convert(sharded_release, out, sharded_options(encoding=encoding))
    assert failures(out) == []
    assert finding(out, "timesteps", EMBEDDINGS) == "audio 3 to 3, visual 6 to 7"
    shard = out / EMBEDDINGS / f"train-00001-of-00002.{encoding.format}"
    flip(shard, shard.stat().st_size // 2, 3)
    assert [where for name, where, _ in failures(out) if name == "sha256"] == [
        f"{EMBEDDINGS}/{shard.name}"
    ]


def _run(*arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(verify_command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout


def test_the_command_shows_a_table(sharded_package: Path, copied: Path) -> None:
    code, out = _run(sharded_package)
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == f"{sharded_package}: all holds"
    splits = ["splits", EMBEDDINGS, "ok", "train", "32,", "test", "16"]
    assert splits in [line.split() for line in lines]
    flip(copied / EMBEDDINGS / TEST, 1000, 0)
    code, out = _run(copied, "--workers", 2)
    assert code == 1
    checks = verify(copied, workers=1)
    wrong = [check for check in checks if not check.ok]
    assert out.splitlines()[-1] == f"{copied}: {len(wrong)} of {len(checks)} checks fail"
    for check in wrong:
        assert any(
            line.split()[: len(check.name.split()) + 2]
            == [*check.name.split(), check.where, "FAILS"]
            and line.rstrip().endswith(check.found)
            for line in out.splitlines()
        )


def test_the_command_writes_json(sharded_package: Path, copied: Path) -> None:
    code, out = _run(sharded_package, "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document) == ["package", "ok", "checks"]
    assert (document["package"], document["ok"]) == (str(sharded_package), True)
    assert [Check(**check) for check in document["checks"]] == verify(sharded_package, workers=1)
    shard = copied / EMBEDDINGS / TRAIN[0]
    flip(shard, 2000, 5)
    code, out = _run(copied, "--json")
    document = json.loads(out)
    assert (code, document["ok"]) == (1, False)
    wrong = [check for check in document["checks"] if not check["ok"]]
    assert {"name": "sha256", "where": f"{EMBEDDINGS}/{TRAIN[0]}"}.items() <= wrong[0].items()


def test_names_that_are_not_unicode_can_be_shown(copied: Path) -> None:
    (copied / EMBEDDINGS / b"\xff[bold].txt".decode(errors="surrogateescape")).touch()
    for arguments in ([copied], [copied, "--json"]):
        code, out = _run(*arguments)
        assert code == 1
        assert r"does not name \udcff[bold].txt" in out


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
