"""Which configs are built, from which record sets, and what of their records is left out."""

import os
import shutil
import tarfile
from pathlib import Path

import datasets
import pytest
from support.commands import Run
from support.releases import (
    CSV,
    SETS,
    assert_same_rows,
    csv_rows,
    expected_rows,
    shard_rows,
    write_set,
)

from conversion.convert.build import Options, convert
from conversion.package.manifest import read_manifest

NAMES = {"ratings", "raw_ratings", "test_set"}


def configs(package: Path) -> set[str]:
    return {path.parent.name for path in package.glob("*/manifest.json")}


@pytest.mark.parametrize("config", ["raw_ratings", "ratings", "test_set", "vggish_vgg16"])
def test_one_config_alone_is_a_package(
    small_release: Path, run: Run, tmp_path: Path, cache: Path, config: str
) -> None:
    ran = run("convert", small_release, "--config", config)
    assert (ran.code, ran.err) == (0, "")
    assert configs(tmp_path / "avmit") == {config}
    split = "test" if config == "test_set" else "train"
    loaded = datasets.load_dataset(str(tmp_path / "avmit"), split=split)
    assert_same_rows(loaded, expected_rows(small_release, config, split))


def test_config_may_be_repeated(small_release: Path, run: Run, tmp_path: Path) -> None:
    run("convert", small_release, "--config", "test_set", "--config", "vggish_vgg16")
    assert configs(tmp_path / "avmit") == {"test_set", "vggish_vgg16"}


def test_ratings_alone_need_no_records(small_release: Path, run: Run, tmp_path: Path) -> None:
    shutil.rmtree(small_release / SETS["vggish_vgg16"])
    assert run("convert", small_release, "--config", "ratings").code == 0
    assert configs(tmp_path / "avmit") == {"ratings"}


def test_no_record_set(small_release: Path, run: Run, tmp_path: Path) -> None:
    shutil.rmtree(small_release / SETS["vggish_vgg16"])
    ran = run("convert", small_release)
    assert ran.code == 1
    assert ran.err == (
        f"avmit: no record set in {small_release}: put a folder or archive of label/name.tfrecord "
        "files named by video_ratings.csv there, or build the ratings alone with --config ratings\n"
    )
    assert not (tmp_path / "avmit").exists()


def test_no_source(run: Run) -> None:
    ran = run("convert", "nowhere")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "avmit: no folder nowhere: name the one that holds the release's files\n"


def test_no_csv(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run("convert", "empty")
    assert ran.code == 1
    assert ran.err == (
        "avmit: no raw_video_ratings.csv in empty: "
        "put the release's three CSV files anywhere in that folder\n"
    )


def test_a_wanted_config_without_records(small_release: Path, run: Run) -> None:
    ran = run("convert", small_release, "--config", "yamnet_effnet")
    assert ran.code == 1
    assert ran.err == (
        f"avmit: no records for config yamnet_effnet in {small_release}; there are: none. "
        "Name a set with --tfrecords yamnet_effnet=PATH\n"
    )


def test_an_unknown_config(small_release: Path, run: Run) -> None:
    ran = run("convert", small_release, "--config", "clip")
    assert ran.code == 1
    assert ran.err == (
        "avmit: no config 'clip': choose from ratings, raw_ratings, test_set, vggish_vgg16, "
        "yamnet_effnet, or name a record set with --tfrecords clip=PATH\n"
    )


def test_a_set_under_another_name(small_release: Path, run: Run, tmp_path: Path) -> None:
    path = small_release / SETS["vggish_vgg16"]
    ran = run("convert", small_release, "--tfrecords", f"my-vgg={path}")
    assert ran.code == 0
    assert configs(tmp_path / "avmit") == NAMES | {"my-vgg"}
    rows = shard_rows(tmp_path / "avmit", "my-vgg", "train")
    assert_same_rows(rows, expected_rows(small_release, "vggish_vgg16", "train"))


def test_a_set_that_lies_elsewhere(small_release: Path, run: Run, tmp_path: Path) -> None:
    shutil.move(small_release / SETS["vggish_vgg16"], tmp_path / "elsewhere")
    ran = run("convert", small_release, "--tfrecords", "vggish_vgg16=elsewhere")
    assert ran.code == 0
    assert read_manifest(tmp_path / "avmit" / "vggish_vgg16").source["name"] == "elsewhere"


def test_a_set_of_other_widths_needs_a_name(small_release: Path, run: Run) -> None:
    path = write_set(small_release, "clip", (8, 16))
    ran = run("convert", small_release)
    assert ran.code == 1
    assert ran.err == (
        f"avmit: the records in {path} are 8 audio and 16 visual values wide, "
        f"as no built-in config is: name it with --tfrecords NAME={path}\n"
    )


def test_a_named_set_of_other_widths(small_release: Path, run: Run, tmp_path: Path) -> None:
    path = write_set(small_release, "clip", (8, 16))
    ran = run("convert", small_release, "--tfrecords", f"clip_b32={path}")
    assert ran.code == 0
    assert configs(tmp_path / "avmit") == NAMES | {"vggish_vgg16", "clip_b32"}
    assert read_manifest(tmp_path / "avmit" / "clip_b32").dims == {"audio": 8, "visual": 16}
    for split in ("train", "test"):
        rows = shard_rows(tmp_path / "avmit", "clip_b32", split)
        assert_same_rows(rows, expected_rows(small_release, "clip_b32", split, "clip"))


def test_a_set_that_is_not_wanted_needs_no_name(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    write_set(small_release, "a_clip", (8, 16))
    ran = run("convert", small_release, "--config", "vggish_vgg16")
    assert (ran.code, ran.err) == (0, "")
    assert configs(tmp_path / "avmit") == {"vggish_vgg16"}


@pytest.mark.parametrize("arguments", [[], ["--config", "vggish_vgg16"]], ids=str)
def test_two_sets_of_the_same_widths(
    small_release: Path, run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    first = small_release / SETS["vggish_vgg16"]
    second = write_set(small_release, "again", (128, 512))
    ran = run("convert", small_release, *arguments)
    assert ran.code == 1
    assert ran.err == (
        f"avmit: {first} and {second} both hold vggish_vgg16: take one away, "
        f"or name one with --tfrecords NAME={second}\n"
    )
    assert not (tmp_path / "avmit").exists()


def test_two_sets_of_the_same_widths_by_name(small_release: Path, run: Run, tmp_path: Path) -> None:
    second = write_set(small_release, "again", (128, 512))
    ran = run("convert", small_release, "--tfrecords", f"again={second}")
    assert ran.code == 0
    for config, folder in (("vggish_vgg16", SETS["vggish_vgg16"]), ("again", "again")):
        rows = shard_rows(tmp_path / "avmit", config, "train")
        assert_same_rows(rows, expected_rows(small_release, config, "train", folder))


def test_a_name_that_leads_to_several_sets(small_release: Path, run: Run) -> None:
    write_set(small_release, "again", (128, 512))
    ran = run("convert", small_release, "--tfrecords", f"x={small_release}")
    assert ran.code == 1
    first, second = small_release / SETS["vggish_vgg16"], small_release / "again"
    assert ran.err == (
        f"avmit: --tfrecords x={small_release} must lead to one record set and leads to 2 "
        f"({first}, {second}): name the folder that holds the label folders, or an archive\n"
    )


@pytest.mark.parametrize(
    "name", ["ratings", "test_set", "../x", "a b", ".x", "a/b", "é", "x" * 101]
)
def test_a_name_that_no_config_can_have(small_release: Path, run: Run, name: str) -> None:
    path = small_release / SETS["vggish_vgg16"]
    ran = run("convert", small_release, "--tfrecords", f"{name}={path}")
    assert ran.code == 1
    assert ran.err == (
        f"avmit: '{name}' cannot name an embedding config: use up to 100 letters, digits, _ and -, "
        "and not raw_ratings, ratings, test_set\n"
    )


def test_missing_records_are_counted_and_listed(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    names = [row["tfrecord_filename"] for row in csv_rows(small_release / CSV["ratings"])]
    gone = names[3:10]
    for name in gone:
        (small_release / SETS["vggish_vgg16"] / name).unlink()
    ran = run("convert", small_release)
    assert ran.code == 0
    listed = (tmp_path / "avmit" / "vggish_vgg16" / "missing_records.csv").read_text("utf-8")
    assert listed.splitlines() == ["tfrecord_filename", *gone]
    assert (
        f"  7 rated videos without a record ({', '.join(gone[:5])}, ...): "
        "all in vggish_vgg16/missing_records.csv"
    ) in ran.out.splitlines()
    manifest = read_manifest(tmp_path / "avmit" / "vggish_vgg16")
    assert manifest.missing_records == 7
    read = {
        row["tfrecord_filename"]
        for split in manifest.splits
        for row in shard_rows(tmp_path / "avmit", "vggish_vgg16", split)
    }
    assert read == set(names) - set(gone)


def test_nothing_missing_is_not_listed(small_release: Path, run: Run, tmp_path: Path) -> None:
    ran = run("convert", small_release)
    assert "without a record" not in ran.out
    assert not (tmp_path / "avmit" / "vggish_vgg16" / "missing_records.csv").exists()


def test_strays_are_counted_and_left_out(small_release: Path, run: Run, tmp_path: Path) -> None:
    root = small_release / SETS["vggish_vgg16"]
    some = next(root.glob("*/*.tfrecord"))
    shutil.copy(some, some.with_name("not-rated.tfrecord"))
    shutil.copy(some, root / "barking_not.tfrecord")
    (some.parent / "notes.txt").write_text("not a record file")
    ran = run("convert", small_release)
    assert ran.code == 0
    assert "  3 record files that no row names, left out" in ran.out.splitlines()
    manifest = read_manifest(tmp_path / "avmit" / "vggish_vgg16")
    assert (manifest.source["records"], manifest.source["strays"]) == (32, 3)
    assert sum(manifest.rows(split) for split in manifest.splits) == 32


def test_a_split_without_records_is_left_out(small_release: Path, tmp_path: Path) -> None:
    for row in csv_rows(small_release / CSV["test_set"]):
        (small_release / SETS["vggish_vgg16"] / row["tfrecord_filename"]).unlink()
    convert(small_release, tmp_path / "avmit", Options(workers=1))
    assert list(read_manifest(tmp_path / "avmit" / "vggish_vgg16").splits) == ["train"]


def test_a_config_added_later_keeps_the_others(
    release: Path, run: Run, tmp_path: Path, package: Path
) -> None:
    for config in ("vggish_vgg16", "ratings", "yamnet_effnet", "test_set", "raw_ratings"):
        assert run("convert", release, "--config", config).code == 0
    names = ["ratings", "raw_ratings", "test_set", "vggish_vgg16", "yamnet_effnet"]
    assert configs(tmp_path / "avmit") == set(names)
    card = (tmp_path / "avmit" / "README.md").read_text("utf-8")
    assert card == (package / "README.md").read_text("utf-8")


@pytest.mark.parametrize("suffix", ["", ".tar", ".tgz"])
def test_names_that_are_not_utf8_are_spelt_out(
    small_release: Path, run: Run, tmp_path: Path, suffix: str
) -> None:
    """As an old disk has them, or a tar of one."""
    root = small_release / os.fsdecode(b"caf\xe9")
    (small_release / SETS["vggish_vgg16"]).rename(root)
    source = small_release.rename(small_release.with_name(os.fsdecode(b"source\xff")))
    root = source / root.name
    if suffix:
        with tarfile.open(
            source / f"{root.name}{suffix}", "w:gz" if suffix == ".tgz" else "w"
        ) as tar:
            tar.add(root, root.name)
        shutil.rmtree(root)
    ran = run("convert", source)
    assert (ran.code, ran.err) == (0, "")
    assert run("verify", "avmit").code == 0
    made_of = read_manifest(tmp_path / "avmit" / "vggish_vgg16").source
    assert made_of["name"] == "caf\\udce9"
    assert made_of.get("archive") == (f"caf\\udce9{suffix}" if suffix else None)
    assert "caf\\udce9" in (tmp_path / "avmit" / "README.md").read_text(encoding="utf-8")
