"""The rules that the three CSV files keep; an error names the file and the row."""

import csv
import os
from pathlib import Path

import pytest

from avmit import AvmitError
from conversion.release.annotations import find_files, read_annotations

RATINGS = """\
filename,r1,r2,r3,AVMIT_label,MIT_label,video_location,tfrecord_filename
diving/a.mp4,0,0,3,diving,diving,training,diving/a.tfrecord
cooking/b.mp4,1,1,1,frying,cooking,validation,frying/b.tfrecord
barking/c.mp4,0,2,2,barking,barking,training,barking/c.tfrecord
"""
TEST_SET = """\
filename,AVMIT_label,MIT_label,video_location,new_filename,tfrecord_filename
cooking/b.mp4,frying,cooking,validation,frying/frying_1.mp4,frying/b.tfrecord
"""
RAW = """\
filename,AVMIT_label,MIT_label,video_location,rating
diving/a.mp4,diving,diving,training,3
cooking/b.mp4,frying,cooking,validation,1
"""
AGAIN = "take the file from the release again"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "video_ratings.csv").write_text(RATINGS, encoding="utf-8")
    (tmp_path / "test_set.csv").write_text(TEST_SET, encoding="utf-8")
    (tmp_path / "raw_video_ratings.csv").write_text(RAW, encoding="utf-8")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def error(source: Path) -> str:
    with pytest.raises(AvmitError) as raised:
        read_annotations(find_files(source))
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_rows_are_read_in_order(source: Path) -> None:
    annotations = read_annotations(find_files(source))
    assert [video.filename for video in annotations.ratings] == [
        "diving/a.mp4",
        "cooking/b.mp4",
        "barking/c.mp4",
    ]
    frying = annotations.ratings[1]
    assert (frying.r1, frying.r2, frying.r3) == (1, 1, 1)
    assert (frying.AVMIT_label, frying.MIT_label) == ("frying", "cooking")
    assert (frying.video_location, frying.tfrecord_filename) == ("validation", "frying/b.tfrecord")
    assert annotations.test_set[0].new_filename == "frying/frying_1.mp4"
    assert annotations.raw_ratings["rating"].to_pylist() == [3, 1]
    assert annotations.labels == ["barking", "diving", "frying"]


def test_test_is_the_test_set_and_train_all_others(source: Path) -> None:
    annotations = read_annotations(find_files(source))
    assert [video.filename for video in annotations.split("test")] == ["cooking/b.mp4"]
    assert [v.filename for v in annotations.split("train")] == ["diving/a.mp4", "barking/c.mp4"]


def test_files_may_lie_anywhere_below_the_source(source: Path) -> None:
    deep = source / "deep" / "er"
    deep.mkdir(parents=True)
    (source / "test_set.csv").rename(deep / "test_set.csv")
    assert len(read_annotations(find_files(source)).test_set) == 1


@pytest.mark.parametrize("name", ["raw_video_ratings.csv", "video_ratings.csv", "test_set.csv"])
def test_each_file_is_needed(source: Path, name: str) -> None:
    (source / name).unlink()
    wanted = f"no {name} in {source}: put the release's three CSV files anywhere in that folder"
    assert error(source) == wanted


def test_two_copies_that_differ(source: Path) -> None:
    (source / "old").mkdir()
    copy = source / "old" / "test_set.csv"
    copy.write_text(TEST_SET + "\n", encoding="utf-8")
    wanted = f"{copy} and {source / 'test_set.csv'} differ: keep the one that is meant"
    assert error(source) == wanted


def test_identical_copies_are_fine(source: Path) -> None:
    (source / "old").mkdir()
    (source / "old" / "test_set.csv").write_text(TEST_SET, encoding="utf-8")
    assert len(read_annotations(find_files(source)).test_set) == 1


def test_missing_columns(source: Path) -> None:
    path = source / "raw_video_ratings.csv"
    edit(path, "MIT_label,video_location,rating", "MIT,video_location,score")
    assert error(source) == (
        f"{path}, row 1: no column MIT_label, rating; "
        f"it has filename, AVMIT_label, MIT, video_location, score: {AGAIN}"
    )


@pytest.mark.parametrize("name", ["raw_video_ratings.csv", "video_ratings.csv", "test_set.csv"])
def test_a_column_that_stands_twice(source: Path, name: str) -> None:
    path = source / name
    lines = path.read_text(encoding="utf-8").splitlines()
    more = ["MIT_label,odd,odd,filename", *["other,1,2,x.mp4"] * (len(lines) - 1)]
    text = "".join(f"{line},{added}\n" for line, added in zip(lines, more, strict=True))
    path.write_text(text, encoding="utf-8")
    assert error(source) == (
        f"{path}, row 1: column filename, MIT_label stands there more than once: {AGAIN}"
    )


def test_a_further_column_may_stand_twice(source: Path) -> None:
    path = source / "test_set.csv"
    before = read_annotations(find_files(source)).test_set
    header, row = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"{header},,,odd,odd\n{row},1,2,3,4\n", encoding="utf-8")
    assert read_annotations(find_files(source)).test_set == before


def test_copies_that_editors_keep_do_not_count(source: Path) -> None:
    hidden = source / ".ipynb_checkpoints"
    hidden.mkdir()
    (hidden / "video_ratings.csv").write_text("another", encoding="utf-8")
    assert len(read_annotations(find_files(source)).ratings) == 3


@pytest.mark.parametrize("name", ["raw_video_ratings.csv", "video_ratings.csv", "test_set.csv"])
@pytest.mark.parametrize("what", ["a pipe", "a device", "too large", "a link to nothing"])
def test_what_no_table_can_be(source: Path, name: str, what: str) -> None:
    path = source / name
    path.unlink()
    reason = f"{path} is no regular file"
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a device":
        path.symlink_to("/dev/zero")
    elif what == "a link to nothing":
        path.symlink_to("nothing")
        reason = f"{path} cannot be read (No such file or directory)"
    else:
        with path.open("wb") as file:
            file.truncate(256_000_001)
        reason = f"{path} has 256,000,001 bytes, more than 256,000,000"
    assert error(source) == f"{reason}: take it from the release again"


def test_an_empty_file(source: Path) -> None:
    path = source / "test_set.csv"
    path.write_bytes(b"")
    assert error(source) == (
        f"{path}, row 1: no column filename, AVMIT_label, MIT_label, video_location, new_filename, "
        f"tfrecord_filename; it has none: {AGAIN}"
    )


def test_a_header_without_rows(source: Path) -> None:
    for name in ("video_ratings.csv", "test_set.csv"):
        path = source / name
        path.write_text(path.read_text(encoding="utf-8").partition("\n")[0], encoding="utf-8")
    path = source / "video_ratings.csv"
    assert error(source) == f"{path} has no rows: take it from the release again"


def test_further_columns_and_another_order_are_fine(source: Path) -> None:
    for name in ("video_ratings.csv", "test_set.csv", "raw_video_ratings.csv"):
        path = source / name
        with path.open(encoding="utf-8", newline="") as file:
            rows = [[*reversed(row), "more"] for row in csv.reader(file)]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    annotations = read_annotations(find_files(source))
    assert annotations.ratings[1].MIT_label == "cooking"
    assert annotations.test_set[0].new_filename == "frying/frying_1.mp4"


@pytest.mark.parametrize("value", ["4", "0", "3.0", "three", "-1", " 3", "³", "٣", "1" * 5000])
def test_a_rating_is_1_2_or_3(source: Path, value: str) -> None:
    path = source / "raw_video_ratings.csv"
    edit(path, "training,3", f"training,{value}")
    assert error(source) == (
        f"{path}, row 2: rating is '{value}', not a whole number from 1 to 3: {AGAIN}"
    )


@pytest.mark.parametrize("column", ["r1", "r2", "r3"])
@pytest.mark.parametrize("value", ["", "x", "1.5", "-1", "1000", "NaN"])
def test_counts_are_whole_numbers(source: Path, column: str, value: str) -> None:
    path = source / "video_ratings.csv"
    counts = [value if name == column else "1" for name in ("r1", "r2", "r3")]
    edit(path, "b.mp4,1,1,1", f"b.mp4,{','.join(counts)}")
    assert error(source) == (
        f"{path}, row 3: {column} is '{value}', not a whole number from 0 to 999: {AGAIN}"
    )


@pytest.mark.parametrize(("counts", "total"), [("0,0,0", 0), ("0,1,1", 2), ("2,0,0", 2)])
def test_under_three_ratings_are_an_error(source: Path, counts: str, total: int) -> None:
    path = source / "video_ratings.csv"
    edit(path, "c.mp4,0,2,2", f"c.mp4,{counts}")
    assert error(source) == (
        f"{path}, row 4: r1 + r2 + r3 is {total}, "
        f"and every video was rated three times or more: {AGAIN}"
    )


@pytest.mark.parametrize("counts", [(0, 0, 3), (0, 0, 4), (1, 1, 3), (6, 0, 0), (2, 2, 3)])
def test_three_ratings_or_more_are_data(source: Path, counts: tuple[int, int, int]) -> None:
    edit(source / "video_ratings.csv", "c.mp4,0,2,2", "c.mp4,{},{},{}".format(*counts))
    video = read_annotations(find_files(source)).ratings[2]
    assert (video.r1, video.r2, video.r3) == counts


def test_a_record_name_stands_once_in_the_ratings(source: Path) -> None:
    path = source / "video_ratings.csv"
    edit(path, "barking/c.tfrecord", "diving/a.tfrecord")
    assert error(source) == (
        f"{path}, row 4: diving/a.tfrecord stands in row 2 already: keep one of the two"
    )


def test_a_record_name_stands_once_in_the_test_set(source: Path) -> None:
    path = source / "test_set.csv"
    path.write_text(TEST_SET + TEST_SET.splitlines()[1] + "\n", encoding="utf-8")
    assert error(source) == (
        f"{path}, row 3: frying/b.tfrecord stands in row 2 already: keep one of the two"
    )


def test_a_test_row_is_a_rated_video(source: Path) -> None:
    path = source / "test_set.csv"
    edit(path, "frying/b.tfrecord", "frying/z.tfrecord")
    assert error(source) == (
        f"{path}, row 2: frying/z.tfrecord is not in video_ratings.csv: "
        "take both files from one release"
    )


@pytest.mark.parametrize(
    ("column", "old", "there"),
    [
        ("filename", "cooking/b.mp4,", "cooking/b.mp4"),
        ("AVMIT_label", ",frying,", "frying"),
        ("MIT_label", ",cooking,", "cooking"),
        ("video_location", ",validation,", "validation"),
    ],
)
def test_a_test_row_says_what_the_ratings_say(
    source: Path, column: str, old: str, there: str
) -> None:
    path = source / "test_set.csv"
    edit(path, old, old.replace(there, "other"))
    assert error(source) == (
        f"{path}, row 2: {column} is 'other', but '{there}' in video_ratings.csv: "
        "take both files from one release"
    )


@pytest.mark.parametrize(("end", "count"), [("training", 7), ("training,diving/a.tfrecord,x", 9)])
def test_a_ragged_row(source: Path, end: str, count: int) -> None:
    path = source / "video_ratings.csv"
    edit(path, "training,diving/a.tfrecord", end)
    assert error(source) == f"{path}, row 2: {count} fields where the header has 8: {AGAIN}"


@pytest.mark.parametrize(
    ("name", "old", "column"),
    [
        ("video_ratings.csv", "cooking/b.mp4", "filename"),
        ("video_ratings.csv", "validation", "video_location"),
        ("video_ratings.csv", "frying/b.tfrecord", "tfrecord_filename"),
        ("test_set.csv", "frying/frying_1.mp4", "new_filename"),
        ("raw_video_ratings.csv", "cooking/b.mp4", "filename"),
    ],
)
def test_an_empty_cell(source: Path, name: str, old: str, column: str) -> None:
    path = source / name
    edit(path, old, "")
    row = 2 if name == "test_set.csv" else 3
    assert error(source) == f"{path}, row {row}: {column} is empty: {AGAIN}"


def test_bytes_that_are_not_utf8(source: Path) -> None:
    path = source / "test_set.csv"
    path.write_bytes(TEST_SET.encode().replace(b"frying_1", b"fry\xffing_1"))
    message = error(source)
    assert message.startswith(f"{path} is not UTF-8 CSV ('utf-8' codec can't decode byte 0xff ")
    assert message.endswith("): take it from the release")


def test_a_quote_that_is_never_closed(source: Path) -> None:
    path = source / "test_set.csv"
    edit(path, "cooking/b.mp4", '"cooking/b.mp4')
    message = error(source)
    assert message.startswith(f"{path} is not UTF-8 CSV (")
    assert message.endswith("): take it from the release")


@pytest.mark.parametrize("name", ["raw_video_ratings.csv", "video_ratings.csv", "test_set.csv"])
@pytest.mark.parametrize("way", ["BOM", "CRLF", "quoted", "blank lines"])
def test_what_spreadsheets_make_of_a_csv_is_fine(source: Path, name: str, way: str) -> None:
    before = read_annotations(find_files(source))
    path = source / name
    data = path.read_bytes()
    match way:
        case "BOM":
            path.write_bytes(b"\xef\xbb\xbf" + data)
        case "CRLF":
            path.write_bytes(data.replace(b"\n", b"\r\n"))
        case "quoted":
            lines = data.decode().splitlines()
            quoted = [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
            path.write_text("\n".join(quoted), encoding="utf-8")
        case _:
            path.write_bytes(data.replace(b"\n", b"\n\n"))
    assert path.read_bytes() != data
    assert read_annotations(find_files(source)) == before


def test_quoted_fields_may_hold_commas_quotes_and_other_scripts(source: Path) -> None:
    for name in ("video_ratings.csv", "test_set.csv"):
        edit(source / name, "cooking/b.mp4", '"cooking/日本, ""b"".mp4"')
    annotations = read_annotations(find_files(source))
    assert annotations.ratings[1].filename == 'cooking/日本, "b".mp4'


@pytest.mark.parametrize(
    "name",
    ["../x.tfrecord", "/diving/x.tfrecord", "x.tfrecord", "a/b/c.tfrecord", "a/..", "./x", "a//b"],
)
def test_a_record_name_is_a_label_and_a_name(source: Path, name: str) -> None:
    path = source / "video_ratings.csv"
    edit(path, "diving/a.tfrecord", name)
    assert error(source) == (
        f"{path}, row 2: tfrecord_filename '{name}' is not of the form label/name.tfrecord"
    )
