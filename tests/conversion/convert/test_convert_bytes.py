"""The same input gives the same bytes, whoever builds them, how often and in what order."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Run
from support.releases import CONFIGS, CSV, SETS, csv_rows, edit_row, visible

from conversion.convert.build import Options, convert
from conversion.package.manifest import read_manifest

OPTIONS = ["--max-shard-size", "200KB"]


@pytest.fixture(scope="module")
def with_one_worker(release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("one") / "avmit"
    convert(release, out, Options(workers=1, max_shard_bytes=200_000))
    files = visible(out)
    assert len(files) > 20
    return files


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers(
    release: Path, with_one_worker: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    command = [str(Path(sys.executable).with_name("avmit")), "convert", str(release), *OPTIONS]
    subprocess.run([*command, "--workers", str(workers)], cwd=tmp_path, check=True)
    assert visible(tmp_path / "avmit") == with_one_worker


def test_a_second_run_changes_nothing(release: Path, run: Run, tmp_path: Path) -> None:
    run("convert", release, "--workers", 1)
    before = {path: path.stat() for path in (tmp_path / "avmit").rglob("*.arrow")}
    files = visible(tmp_path / "avmit")
    ran = run("convert", release, "--workers", 1)
    assert ran.code == 0
    assert visible(tmp_path / "avmit") == files
    summary = [line for line in ran.out.splitlines() if line.partition(":")[0] in CONFIGS]
    assert len(summary) == 5
    assert all(line.endswith(" (unchanged)") for line in summary)
    for path, stat in before.items():
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (stat.st_mtime_ns, stat.st_ino)


def test_a_run_after_an_edit_gives_what_a_fresh_run_gives(
    small_release: Path, tmp_path: Path
) -> None:
    options = Options(workers=1, max_shard_bytes=60_000)
    convert(small_release, tmp_path / "edited", options)
    edit_row(small_release / CSV["ratings"], 0, r1="4", r2="1", r3="0")
    convert(small_release, tmp_path / "edited", options)
    convert(small_release, tmp_path / "fresh", options)
    assert visible(tmp_path / "edited") == visible(tmp_path / "fresh")


def test_a_run_with_other_shard_sizes_leaves_no_old_shard(
    small_release: Path, tmp_path: Path
) -> None:
    for size in (60_000, 256_000_000, 100_000):
        convert(small_release, tmp_path / "avmit", Options(workers=1, max_shard_bytes=size))
    convert(small_release, tmp_path / "fresh", Options(workers=1, max_shard_bytes=100_000))
    assert visible(tmp_path / "avmit") == visible(tmp_path / "fresh")


def test_a_damaged_shard_is_built_again(small_release: Path, run: Run, tmp_path: Path) -> None:
    run("convert", small_release)
    files = visible(tmp_path / "avmit")
    path = tmp_path / "avmit" / "vggish_vgg16" / "train-00000-of-00001.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert run("convert", small_release).code == 0
    assert visible(tmp_path / "avmit") == files


def test_the_order_and_the_place_of_the_files_do_not_matter(
    release: Path, with_one_worker: dict[str, bytes], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    places = {"vggish_vgg16": moved / "z" / "deep" / "set", "yamnet_effnet": moved / "a"}
    for config, place in places.items():
        names = [row["tfrecord_filename"] for row in csv_rows(release / CSV["ratings"])]
        for name in sorted(names, reverse=True):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(release / SETS[config] / name, place / name)
    for name in CSV.values():
        shutil.copy(release / name, moved / "a" / name)
    convert(moved, tmp_path / "avmit", Options(workers=1, max_shard_bytes=200_000))
    arrow = {name: data for name, data in with_one_worker.items() if name.endswith(".arrow")}
    files = visible(tmp_path / "avmit")
    assert {name: data for name, data in files.items() if name.endswith(".arrow")} == arrow
    for config, place in places.items():
        assert read_manifest(tmp_path / "avmit" / config).source["name"] == place.name


def test_the_clock_does_not_matter(
    release: Path, with_one_worker: dict[str, bytes], tmp_path: Path
) -> None:
    source = tmp_path / "sources"
    shutil.copytree(release, source)
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
    convert(source, tmp_path / "avmit", Options(workers=1, max_shard_bytes=200_000))
    assert visible(tmp_path / "avmit") == with_one_worker
