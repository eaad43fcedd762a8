"""A run that fails or is cut off leaves what was there before, byte for byte."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import load_dataset
from support.commands import Run
from support.releases import CSV, SETS, csv_rows, edit_row, split_names, visible

from conversion.convert.build import Options, convert
from conversion.release.generate import generate_release


def _bad_record(source: Path) -> None:
    (source / SETS["vggish_vgg16"] / split_names(source, "train")[4]).write_bytes(b"broken")


def _bad_rating(source: Path) -> None:
    edit_row(source / CSV["raw_ratings"], 2, rating="7")


def _no_csv(source: Path) -> None:
    (source / CSV["test_set"]).unlink()


def _no_records(source: Path) -> None:
    shutil.rmtree(source / SETS["vggish_vgg16"])


@pytest.mark.parametrize("damage", [_bad_record, _bad_rating, _no_csv, _no_records])
def test_a_failing_run_changes_nothing(
    small_release: Path, run: Run, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    run("convert", small_release)
    files = visible(tmp_path / "avmit")
    # Every config would come out different.
    changed = {"MIT_label": "another", "video_location": "validation"}
    edit_row(small_release / CSV["raw_ratings"], 0, rating="2")
    edit_row(small_release / CSV["raw_ratings"], 1, rating="2")
    first_train = split_names(small_release, "train")[0]
    names = [row["tfrecord_filename"] for row in csv_rows(small_release / CSV["ratings"])]
    edit_row(small_release / CSV["ratings"], names.index(first_train), **changed)
    damage(small_release)
    ran = run("convert", small_release, "--max-shard-size", "60KB")
    assert ran.code == 1
    assert ran.err.startswith("avmit: ")
    assert ran.err.count("\n") == 1
    assert visible(tmp_path / "avmit") == files


def test_an_interrupted_run_changes_nothing_and_the_next_one_goes_on(
    small_release: Path, tmp_path: Path
) -> None:
    out, fresh = tmp_path / "avmit", tmp_path / "fresh"
    options = Options(workers=1, max_shard_bytes=60_000)
    seen = 0

    def interrupt(done: int, total: int) -> None:
        nonlocal seen
        seen += done
        if seen > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(small_release, out, options, interrupt)
    assert visible(out) == {}
    convert(small_release, out, options)
    convert(small_release, fresh, options)
    assert visible(out) == visible(fresh)
    assert not list(out.glob(".avmit-work"))


def test_ctrl_c_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "sources"
    generate_release(source, videos_per_label=20, test_per_label=1, sets=["vggish_vgg16"])
    command = Path(sys.executable).with_name("avmit")
    process = subprocess.Popen(
        [command, "convert", str(source), "--max-shard-size", "10kB"],  # a shard for each record
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("avmit/.avmit-work/*/*.arrow")):  # then it is at work
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip() == "avmit: interrupted; run again to go on"
    assert visible(tmp_path / "avmit") == {}


def test_two_runs_do_not_write_to_one_folder(small_release: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "avmit"
    results = []

    def second_run(done: int, total: int) -> None:
        results.append(run("convert", small_release, "--out", out))

    convert(small_release, out, Options(workers=1), second_run)
    assert results
    for ran in results:
        assert ran.code == 1
        assert ran.err == (f"avmit: another run is writing to {out}: wait for it, or stop it\n")


def test_out_that_is_a_file(small_release: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "avmit").write_text("mine")
    ran = run("convert", small_release)
    assert ran.code == 1
    assert ran.err == "avmit: cannot write to avmit (File exists): choose another --out\n"
    assert (tmp_path / "avmit").read_text() == "mine"


def test_files_of_the_user_stay(small_release: Path, run: Run, tmp_path: Path) -> None:
    run("convert", small_release)
    (tmp_path / "avmit" / "notes.txt").write_text("mine")
    (tmp_path / "avmit" / "mine").mkdir()
    (tmp_path / "avmit" / "mine" / "data.bin").write_bytes(b"mine")
    assert run("convert", small_release, "--max-shard-size", "60KB").code == 0
    assert (tmp_path / "avmit" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "avmit" / "mine" / "data.bin").read_bytes() == b"mine"


def test_what_is_wrong_with_another_config_is_told_before_anything_is_seen(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    run("convert", small_release)
    (tmp_path / "avmit" / "vggish_vgg16" / "train-00000-of-00001.arrow").unlink()
    edit_row(small_release / CSV["raw_ratings"], 0, rating="1")
    files = visible(tmp_path / "avmit")
    ran = run("convert", small_release, "--config", "raw_ratings")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(
        "avmit: avmit/vggish_vgg16/train-00000-of-00001.arrow cannot be read as an Arrow stream ("
    )
    assert ran.err.count("\n") == 1
    assert visible(tmp_path / "avmit") == files


def test_configs_of_two_formats_are_refused_before_anything_is_done(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    run("convert", small_release)
    files = visible(tmp_path / "avmit")
    ran = run("convert", small_release, "--config", "vggish_vgg16", "--format", "parquet")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: avmit would have configs of several formats (arrow: ratings, raw_ratings, "
        "test_set; parquet: vggish_vgg16), and datasets reads all configs of a package as one: "
        "convert all configs with one --format, or choose another --out\n"
    )
    assert visible(tmp_path / "avmit") == files
    assert run("convert", small_release, "--format", "parquet").code == 0
    for config in ("ratings", "vggish_vgg16"):
        assert load_dataset(str(tmp_path / "avmit"), config, cache_dir=str(tmp_path / "cache"))


def test_what_was_extracted_is_not_replaced_by_records(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    named = f"mine={small_release / SETS['vggish_vgg16']}"
    run("convert", small_release, "--tfrecords", named)
    manifest = tmp_path / "avmit" / "mine" / "manifest.json"
    content = json.loads(manifest.read_text())
    encoder = {"name": "mine", "weights": "local", "weights_sha256": "0" * 64}
    encoders = {"audio": encoder, "visual": encoder}
    content["source"] = {"kind": "extraction", "encoders": encoders, "libraries": {}}
    manifest.write_text(json.dumps(content))
    before = visible(tmp_path / "avmit")
    ran = run("convert", small_release, "--tfrecords", named)
    assert ran.code == 1
    assert ran.err == (
        "avmit: avmit/mine was made by `avmit extract` and would be replaced: give the record set "
        "another name with --tfrecords, or choose another --out\n"
    )
    assert visible(tmp_path / "avmit") == before
