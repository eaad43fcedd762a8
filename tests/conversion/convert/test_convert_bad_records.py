"""A bad record stops the run, or is left out and listed, as the user chose."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
from support.commands import Run
from support.releases import (
    CSV,
    SETS,
    assert_same_rows,
    csv_rows,
    edit_record,
    expected_rows,
    shard_rows,
    split_names,
    visible,
)

import avmit
from conversion.package.manifest import read_manifest
from conversion.tfrecord.record import Record


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _name_of_another(record: Record) -> Record:
    return replace(record, filename="other/video.mp4")


def _label_of_another(record: Record) -> Record:
    return replace(record, label="clapping")


def _other_widths(record: Record) -> Record:
    return replace(record, audio=record.audio[:, :64], visual=record.visual[:, :100])


def _nan(record: Record) -> Record:
    return replace(record, audio=np.full_like(record.audio, np.nan))


@pytest.fixture
def set_folder(small_release: Path) -> Path:
    return small_release / SETS["vggish_vgg16"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_name_of_another, "is of 'other/video.mp4', its row of '{filename}'"),
        (_label_of_another, "is labelled 'clapping', its row '{AVMIT_label}'"),
        (_other_widths, "is 64 audio and 100 visual values wide, its set 128 and 512"),
        (_nan, "has NaN or infinity in 'audio'"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_bad_record_stops_the_run(
    small_release: Path,
    set_folder: Path,
    run: Run,
    tmp_path: Path,
    split: str,
    change: Callable[[Record], Record],
    reason: str,
) -> None:
    name = split_names(small_release, split)[5]
    row = next(
        r for r in csv_rows(small_release / CSV["ratings"]) if r["tfrecord_filename"] == name
    )
    edit_record(set_folder / name, change)
    ran = run("convert", small_release)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"avmit: bad records in vggish_vgg16: {name} {reason.format(**row)}. "
        "Fetch them again, or leave them out with --on-bad-record skip\n"
    )
    assert visible(tmp_path / "avmit") == {}


def test_an_unreadable_record_is_bad(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    name = split_names(small_release, "train")[2]
    (set_folder / name).unlink()
    (set_folder / name).symlink_to(tmp_path / "nothing")
    ran = run("convert", small_release)
    assert ran.code == 1
    assert f"{name} cannot be read (No such file or directory)." in ran.err


def test_the_first_five_are_listed_in_order(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    bad = split_names(small_release, "train")[1:9]
    for name in bad:
        truncate(set_folder / name)
    ran = run("convert", small_release, "--max-shard-size", "1GB", "--workers", 1)
    assert ran.code == 1
    listed = ran.err.removeprefix("avmit: bad records in vggish_vgg16: ").partition(". Fetch")[0]
    for item, name in zip(listed.split("; "), bad, strict=False):
        assert item == f"{name} is truncated gzip"
    assert len(listed.split("; ")) >= 5
    assert visible(tmp_path / "avmit") == {}


def test_bad_records_are_skipped_and_listed(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    config = "vggish_vgg16"
    wanted = {split: expected_rows(small_release, config, split) for split in ("train", "test")}
    train, test = (split_names(small_release, split) for split in ("train", "test"))
    truncate(set_folder / train[0])
    edit_record(set_folder / test[3], _label_of_another)
    (set_folder / train[7]).write_bytes(b"")
    label = test[3].partition("/")[0]
    bad = [
        (train[0], "is truncated gzip"),
        (train[7], "is empty"),
        (test[3], f"is labelled 'clapping', its row '{label}'"),
    ]
    ran = run("convert", small_release, "--on-bad-record", "skip", "--max-shard-size", "60KB")
    assert (ran.code, ran.err) == (0, "")
    listed = "; ".join(f"{name} {reason}" for name, reason in bad)
    assert (
        f"  3 bad records left out ({listed}): all in vggish_vgg16/bad_records.csv"
    ) in ran.out.splitlines()
    folder = tmp_path / "avmit" / "vggish_vgg16"
    rows = csv_rows(folder / "bad_records.csv")
    assert [(row["tfrecord_filename"], row["reason"]) for row in rows] == bad
    assert read_manifest(folder).bad_records == 3
    for split, all_rows in wanted.items():
        names = {name for name, _ in bad}
        good = [row for row in all_rows if row["tfrecord_filename"] not in names]
        assert_same_rows(shard_rows(tmp_path / "avmit", "vggish_vgg16", split), good)


def test_what_was_skipped_is_listed_again_by_a_second_run(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    truncate(set_folder / split_names(small_release, "train")[0])
    run("convert", small_release, "--on-bad-record", "skip")
    files = visible(tmp_path / "avmit")
    ran = run("convert", small_release, "--on-bad-record", "skip")
    assert "  1 bad records left out (" in ran.out
    assert "(unchanged)" in ran.out
    assert visible(tmp_path / "avmit") == files


def test_what_was_skipped_stops_a_stricter_run(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    name = split_names(small_release, "train")[0]
    truncate(set_folder / name)
    run("convert", small_release, "--on-bad-record", "skip")
    files = visible(tmp_path / "avmit")
    ran = run("convert", small_release)
    assert ran.code == 1
    assert f"{name} is truncated gzip" in ran.err
    assert visible(tmp_path / "avmit") == files


def test_what_was_skipped_and_is_fetched_again_is_a_row(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    path = set_folder / split_names(small_release, "train")[0]
    good = path.read_bytes()
    truncate(path)
    run("convert", small_release, "--on-bad-record", "skip")
    path.write_bytes(good)
    assert run("convert", small_release).code == 0
    wanted = expected_rows(small_release, "vggish_vgg16", "train")
    assert_same_rows(shard_rows(tmp_path / "avmit", "vggish_vgg16", "train"), wanted)
    assert not (tmp_path / "avmit" / "vggish_vgg16" / "bad_records.csv").exists()


def test_a_set_without_one_readable_record(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    for name in [name for split in ("train", "test") for name in split_names(small_release, split)]:
        (set_folder / name).write_bytes(b"<html>404</html>")
    first = csv_rows(small_release / CSV["ratings"])[0]["tfrecord_filename"]
    ran = run("convert", small_release, "--on-bad-record", "skip")
    assert ran.code == 1
    assert ran.err == (
        f"avmit: none of the 32 records in {set_folder} can be read "
        f"({first} is not gzip): fetch the set again\n"
    )


def test_the_widths_are_those_of_most_records(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    names = [row["tfrecord_filename"] for row in csv_rows(small_release / CSV["ratings"])]
    for name in names[:5]:
        edit_record(set_folder / name, _other_widths)
    ran = run("convert", small_release, "--on-bad-record", "skip")
    assert ran.code == 0
    assert read_manifest(tmp_path / "avmit" / "vggish_vgg16").bad_records == 5


@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_a_split_of_which_all_records_are_bad_is_left_out(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path, cache: Path, format: str
) -> None:
    for name in split_names(small_release, "test"):
        truncate(set_folder / name)
    ran = run("convert", small_release, "--on-bad-record", "skip", "--format", format)
    assert ran.code == 0
    assert list(read_manifest(tmp_path / "avmit" / "vggish_vgg16").splits) == ["train"]
    plain = datasets.load_dataset(str(tmp_path / "avmit"), "vggish_vgg16")
    ours = avmit.load("vggish_vgg16", data_dir=tmp_path / "avmit")
    for loaded in (plain, ours):
        assert {split: len(rows) for split, rows in loaded.items()} == {"train": 16}


def test_no_good_record_at_all_leaves_the_package_as_it_was(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    names = [name for split in ("train", "test") for name in split_names(small_release, split)]
    for name in names:
        edit_record(set_folder / name, _name_of_another)
    ran = run("convert", small_release, "--on-bad-record", "skip")
    assert ran.code == 1
    assert ran.err.startswith("avmit: ")
    assert ran.err.count("\n") == 1
    assert visible(tmp_path / "avmit") == {}


def test_parquet_shards_of_bad_records_do_not_appear(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    truncate(set_folder / split_names(small_release, "train")[3])
    assert run("convert", small_release, "--format", "parquet").code == 1
    assert visible(tmp_path / "avmit") == {}


def test_a_good_record_may_have_many_timesteps(
    small_release: Path, set_folder: Path, run: Run, tmp_path: Path
) -> None:
    path = set_folder / split_names(small_release, "train")[0]
    long = np.ones((1000, 128), np.float32)
    edit_record(path, lambda record: replace(record, audio=long))
    assert run("convert", small_release).code == 0
    first = shard_rows(tmp_path / "avmit", "vggish_vgg16", "train")[0]
    assert np.asarray(first["audio"]).shape == (1000, 128)
