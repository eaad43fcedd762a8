"""Rows against the ratings, and the ratings against the paper."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.damage import (
    EMBEDDINGS,
    TEST,
    TRAIN,
    failures,
    finding,
    name_of,
    read,
    setting,
    tamper,
    with_values,
)
from support.releases import sharded_options

import avmit
from conversion.card.readme import write_card
from conversion.convert.build import Options, convert
from conversion.package.schema import arrow_schema
from conversion.release import annotations
from conversion.release.generate import write_rows
from conversion.verify.verification import verify


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
    copied: Path, column: str, value: Any, shown: str
) -> None:
    name = name_of(copied, TRAIN[1], 3)
    tamper(copied, EMBEDDINGS, TRAIN[1], with_values(column, setting(3, value)))
    row = read(copied, EMBEDDINGS, TRAIN[0]).num_rows + 3
    ((check, where, found),) = failures(copied)
    assert (check, where) == ("rows", EMBEDDINGS)
    assert found.startswith(f"train row {row}, {name}: {shown}, in ratings ")


def test_a_row_with_another_label(copied: Path) -> None:
    name, label = (
        name_of(copied, TEST, 0),
        read(copied, EMBEDDINGS, TEST)["label"][0].as_py(),
    )
    other = (label + 1) % 16
    tamper(copied, EMBEDDINGS, TEST, with_values("label", setting(0, other)))
    found = f"AVMIT_label is {avmit.TEST_CLASSES[other]}, in ratings {avmit.TEST_CLASSES[label]}"
    assert failures(copied) == [("rows", EMBEDDINGS, f"test row 0, {name}: {found}")]


def test_of_several_differences_the_first_column_is_named(copied: Path) -> None:
    label = read(copied, EMBEDDINGS, TEST)["label"][0].as_py()
    other = with_values("label", setting(0, (label + 1) % 16))
    attic = with_values("video_location", setting(0, "attic"))
    tamper(copied, EMBEDDINGS, TEST, lambda table: attic(other(table)))
    ((_, _, found),) = failures(copied)
    assert "video_location is attic" in found


def test_a_row_of_no_rated_video(copied: Path) -> None:
    name = name_of(copied, TRAIN[0], 0)
    tamper(
        copied,
        EMBEDDINGS,
        TRAIN[0],
        with_values("tfrecord_filename", setting(0, "a/b.tfrecord")),
    )
    assert failures(copied) == [
        (
            "complete",
            EMBEDDINGS,
            f"{name} has no row and is not in missing_records.csv or bad_records.csv",
        ),
        ("rows", EMBEDDINGS, "train row 0, a/b.tfrecord, is not in ratings"),
    ]


def test_rows_in_the_wrong_split(copied: Path) -> None:
    train, test = read(copied, EMBEDDINGS, TRAIN[0]), read(copied, EMBEDDINGS, TEST)
    of_train, of_test = (str(table["tfrecord_filename"][0]) for table in (train, test))
    steps: dict[str, Any] = {"timesteps": {"audio": [3, 3], "visual": [6, 7]}}

    def swap(mine: pa.Table, other: pa.Table) -> pa.Table:
        return pa.concat_tables([other.slice(0, 1), mine.slice(1)])

    tamper(copied, EMBEDDINGS, TRAIN[0], lambda table: swap(train, test), **steps)
    tamper(copied, EMBEDDINGS, TEST, lambda table: swap(test, train), **steps)
    found = [failure for failure in failures(copied) if failure[0] not in ("order", "timesteps")]
    assert found == [
        (
            "splits",
            EMBEDDINGS,
            f"{of_test} of train is in test_set; {of_train} of test is not in test_set",
        )
    ]


def test_rows_in_another_order(copied: Path) -> None:
    names = [name_of(copied, TEST, row) for row in (4, 5)]
    order = [0, 1, 2, 3, 5, 4, *range(6, 16)]
    tamper(copied, EMBEDDINGS, TEST, lambda table: table.take(order))
    found = f"{names[0]} of test stands after {names[1]}, in ratings before it"
    assert failures(copied) == [("order", EMBEDDINGS, found)]


def test_a_video_twice_in_a_split(copied: Path) -> None:
    name = name_of(copied, TRAIN[0], 0)
    tamper(copied, EMBEDDINGS, TRAIN[0], lambda t: pa.concat_tables([t.slice(0, 1), t]))
    write_card(copied)
    assert failures(copied) == [("unique", EMBEDDINGS, f"{name} is in train twice")]


def test_a_video_in_both_splits(copied: Path) -> None:
    row = read(copied, EMBEDDINGS, TRAIN[0]).slice(0, 1)
    name = name_of(copied, TRAIN[0], 0)
    steps: dict[str, Any] = {"timesteps": {"audio": [3, 3], "visual": [6, 7]}}
    tamper(copied, EMBEDDINGS, TEST, lambda table: pa.concat_tables([row, table]), **steps)
    write_card(copied)
    found = [failure for failure in failures(copied) if failure[0] not in ("order", "timesteps")]
    assert found == [
        ("splits", EMBEDDINGS, f"{name} of test is not in test_set"),
        ("unique", EMBEDDINGS, f"{name} is in train and test"),
    ]


@pytest.fixture(scope="module")
def gappy(sharded_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package without the records of two videos, of which one was bad."""
    folder = tmp_path_factory.mktemp("verify-gappy")
    release = Path(shutil.copytree(sharded_release, folder / "sources"))
    records = sorted(release.glob("*/*/*.tfrecord"))
    records[5].unlink()
    records[20].write_bytes(b"no record")
    convert(release, folder / "avmit", sharded_options(on_bad_record="skip"))
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


def test_without_ratings_there_is_less_to_check(copied: Path) -> None:
    for config in avmit.RATINGS_CONFIGS:
        shutil.rmtree(copied / config)
    write_card(copied)
    checks = verify(copied, workers=1)
    assert [check for check in checks if not check.ok] == []
    found = {(check.name, check.where): check.found for check in checks}
    assert found["rows", EMBEDDINGS] == "no ratings in the package"
    assert found["splits", EMBEDDINGS] == "no test_set in the package"
    assert found["release", "."] == "no ratings in the package"
    assert found["unique", EMBEDDINGS] == "no video twice"


def test_without_ratings_the_label_names_must_still_be_sorted(copied: Path) -> None:
    for config in avmit.RATINGS_CONFIGS:
        shutil.rmtree(copied / config)
    features = avmit.embedding_features(128, 512, avmit.TEST_CLASSES[::-1])
    for file in [*TRAIN, TEST]:
        tamper(
            copied,
            EMBEDDINGS,
            file,
            lambda t: t.replace_schema_metadata(arrow_schema(features).metadata),
        )
    found = "its label names are not the sorted AVMIT labels of the ratings"
    assert [text for name, _, text in failures(copied) if name == "schema"] == [found] * 3


RATINGS = "train-00000-of-00001.arrow"


def test_rating_sums(copied: Path) -> None:
    name = str(read(copied, "ratings", RATINGS)["tfrecord_filename"][7])

    def lower(table: pa.Table) -> pa.Table:
        for column, value in (("r1", 0), ("r2", 1), ("r3", 1)):
            table = with_values(column, setting(7, value))(table)
        return table

    tamper(copied, "ratings", RATINGS, lower)
    found = [failure for failure in failures(copied) if failure[1] == "ratings"]
    assert found == [("rating sums", "ratings", f"row 7, {name}: 2, and 3 is the least")]


def test_a_negative_count_does_not_hide_in_the_sum(copied: Path) -> None:
    tamper(copied, "ratings", RATINGS, with_values("r1", setting(7, -1)))
    tamper(copied, "ratings", RATINGS, with_values("r3", setting(7, 9)))
    assert ("rating sums", "ratings") in [failure[:2] for failure in failures(copied)]


@pytest.mark.parametrize("value", [0, 4])
def test_raw_ratings_out_of_range(copied: Path, value: int) -> None:
    tamper(copied, "raw_ratings", RATINGS, with_values("rating", setting(3, value)))
    found = f"row 3: {value}, not 1, 2 or 3"
    assert failures(copied) == [("rating values", "raw_ratings", found)]


def test_raw_ratings_that_do_not_add_up_are_a_finding(copied: Path) -> None:
    tamper(copied, "raw_ratings", RATINGS, lambda table: table.slice(1))
    tamper(copied, "raw_ratings", RATINGS, with_values("filename", setting(-1, "x/y.mp4")))
    write_card(copied)
    assert failures(copied) == []
    found = finding(copied, "raw ratings", "raw_ratings")
    assert found == ("add up to r1, r2, r3 for 46 of 48 rated videos; 1 are of no rated video")


def test_a_test_set_that_is_not_of_the_ratings(copied: Path) -> None:
    table = read(copied, "test_set", TEST)
    names = [str(name) for name in table["tfrecord_filename"]]
    tamper(copied, "test_set", TEST, with_values("MIT_label", setting(1, "x")))
    tamper(copied, "test_set", TEST, with_values("tfrecord_filename", setting(0, names[2])))
    found = {name: text for name, where, text in failures(copied) if where == "test_set"}
    assert found["unique"] == f"{names[2]} stands twice"
    first, second = found["rows"].split("; ")
    assert first.startswith(f"row 0, {names[2]}: ")
    assert second.startswith(f"row 1, {names[1]}: MIT_label is x, in ratings ")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The ratings and test set of a release of full size, without embeddings."""
    folder = tmp_path_factory.mktemp("verify-full")
    names = [(n, avmit.TEST_CLASSES[n % 16]) for n in range(57_177)]
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
    return {
        c.name: (c.ok, c.found)
        for c in checks
        if c.where == "." and c.name not in ("package", "format")
    }


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
        "release": (
            True,
            "not the full release (57,176 of 57,177 rated videos): label numbers are of 16 names",
        )
    }
