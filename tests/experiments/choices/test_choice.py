"""`avmit.select(choice=...)` chooses the authors' videos, by their CSVs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.choosing import chosen_rows, message, paper_csv
from support.places import REFERENCE
from support.serving import served

import avmit

TRAIN, VALIDATION = "AVMIT_train.csv", "AVMIT_validation.csv"


@pytest.fixture(scope="module")
def train(package: Path) -> Any:
    return avmit.load("vggish_vgg16", "train", data_dir=package)


@pytest.fixture
def folder(train: Any, tmp_path: Path) -> Path:
    """The authors' files, that of the validation with every second video."""
    (tmp_path / TRAIN).write_bytes(paper_csv(chosen_rows(train, range(0, len(train), 3))))
    (tmp_path / VALIDATION).write_bytes(paper_csv(chosen_rows(train, range(1, len(train), 2))))
    return tmp_path


def test_the_videos_of_a_choice_in_the_order_of_the_rows(train: Any, folder: Path) -> None:
    chosen = avmit.select(train, choice="paper-train", choice_from=folder)
    assert chosen["filename"][:] == train.select(range(0, len(train), 3))["filename"][:]
    assert chosen.features == train.features
    for place in (folder, str(folder), folder / VALIDATION):
        chosen = avmit.select(train, choice="paper-validation", choice_from=place)
        assert chosen["filename"][:] == train.select(range(1, len(train), 2))["filename"][:]


def test_a_choice_beside_other_conditions(train: Any, folder: Path) -> None:
    chosen = avmit.select(train, choice="paper-train", choice_from=folder, min_r3=3, relabel=True)
    rows = [row for row in chosen_rows(train, range(0, len(train), 3)) if row["r3"] >= 3]
    assert chosen["filename"][:] == [row["filename"] for row in rows]
    assert chosen.features["label"].names == list(avmit.TEST_CLASSES)
    barking = avmit.select(
        train, choice="paper-train", choice_from=folder, labels="barking", relabel=True
    )
    assert barking.features["label"].names == ["barking"]


def test_a_choice_of_joined_rows(train: Any, package: Path, folder: Path) -> None:
    joined = avmit.join(train, avmit.load("ratings", "train", data_dir=package))
    chosen = avmit.select(joined, choice="paper-train", choice_from=folder)
    assert chosen.to_pandas()["filename"].tolist() == train["filename"][::3]


def test_a_choice_by_an_address(train: Any, folder: Path) -> None:
    files = {f"/paper/{TRAIN}": (folder / TRAIN).read_bytes()}
    with served(files) as address:
        for place in (f"{address}/paper", f"{address}/paper/", f"{address}/paper/{TRAIN}"):
            chosen = avmit.select(train, choice="paper-train", choice_from=place)
            assert chosen["filename"][:] == train["filename"][::3]
        said = message(
            avmit.select, train, choice="paper-validation", choice_from=f"{address}/paper"
        )
    assert said == (
        f"{address}/paper/{VALIDATION}: the answer is 404 Not Found; pass choice_from= a folder "
        f"that has {VALIDATION}, or that file"
    )


def test_videos_that_the_rows_lack(train: Any, folder: Path) -> None:
    some = train.select(range(4))
    said = message(avmit.select, some, choice="paper-train", choice_from=folder)
    lacked = train["filename"][6:15:3]
    assert said == (
        f"9 of the 11 videos of {folder / TRAIN} are not in these rows: {'; '.join(lacked)}; and 6 "
        'more: pass missing="skip" to do without them'
    )
    chosen = avmit.select(some, choice="paper-train", choice_from=folder, missing="skip")
    assert chosen["filename"][:] == some["filename"][::3]
    assert (
        message(
            avmit.select, some.select([1]), choice="paper-train", choice_from=folder, missing="skip"
        )
        == 'none of 1 rows passes: choice="paper-train" (0)'
    )


def test_a_label_that_the_rows_say_otherwise(train: Any, folder: Path) -> None:
    (row,) = chosen_rows(train, [5])
    (folder / TRAIN).write_bytes(paper_csv([*chosen_rows(train, [2]), {**row, "label": "yawning"}]))
    assert message(avmit.select, train, choice="paper-train", choice_from=folder) == (
        f"{folder / TRAIN}, row 3: label is 'yawning', and '{row['label']}' in these rows: take "
        "both of one release"
    )


@pytest.mark.skipif(not (REFERENCE / "paper" / TRAIN).is_file(), reason="no reference tree")
def test_the_list_of_the_other_choice(train: Any) -> None:
    file = REFERENCE / "paper" / TRAIN
    assert message(avmit.select, train, choice="paper-validation", choice_from=file) == (
        f"{file} is the authors' list paper-train, not paper-validation: pass choice_from= "
        f"a folder that has {VALIDATION}, or that file"
    )


HEADER = b"filename,actual_label,r1,r2,r3,label,video_location,tfrecord_filename\n"
ROW = b"a/yt-x_1.mp4,a,0,1,2,a,MIT_training,a/yt-x_1.tfrecord\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "{file}, row 1: no column filename, actual_label, r1, r2, r3, label, "),
        (b"filename,label\nx,y\n", "{file}, row 1: no column actual_label, r1, r2, r3, "),
        (HEADER, "{file} names no videos: take it from the authors' repository again"),
        (HEADER + ROW + ROW, "{file}, row 3: a/yt-x_1.mp4 stands in row 2 already: keep one"),
        (HEADER + ROW.replace(b",a,MIT", b",,MIT"), "{file}, row 2: label is empty: take it"),
        (HEADER + b"," + ROW.split(b",", 1)[1], "{file}, row 2: filename is empty: take it"),
        (HEADER + ROW + b"one,two\n", "{file}, row 3: 2 fields where the header has 8"),
        (b"\xff\xfe" + HEADER, "{file} is not UTF-8 CSV"),
        (HEADER + b"\0", "{file} is not UTF-8 CSV (line contains NUL)"),
    ],
)
def test_a_csv_that_is_none_of_the_authors(
    train: Any, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "mine.csv"
    file.write_bytes(content)
    told = message(avmit.select, train, choice="paper-train", choice_from=file)
    assert told.startswith(said.format(file=file))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_hostile_csv_is_one_line(train: Any, tmp_path: Path, data: st.DataObject) -> None:
    field = st.text(alphabet='a"\n\r,\0\x1b\u2028\ufeff/', max_size=4).map(str.encode)
    row = st.lists(field, min_size=7, max_size=9).map(b",".join)
    lines = [HEADER.strip(), *data.draw(st.lists(row | st.binary(max_size=8), max_size=4))]
    (tmp_path / TRAIN).write_bytes(b"\n".join(lines))
    assert message(avmit.select, train, choice="paper-train", choice_from=tmp_path)


def test_what_cannot_be_read(train: Any, tmp_path: Path) -> None:
    assert message(avmit.select, train, choice="paper-train", choice_from=tmp_path) == (
        f"{tmp_path / TRAIN} is not there: pass choice_from= a folder that has {TRAIN}, or that "
        "file"
    )
    (tmp_path / TRAIN).mkdir()
    said = message(avmit.select, train, choice="paper-train", choice_from=tmp_path)
    assert said.startswith(f"{tmp_path / TRAIN} cannot be read (")


@pytest.mark.parametrize("address", ["https://", "http://[bad/x", "http:///AVMIT_train.csv"])
def test_what_is_no_address(train: Any, address: str) -> None:
    said = message(avmit.select, train, choice="paper-train", choice_from=address)
    assert said.endswith(
        f" is no address: pass choice_from= a folder that has {TRAIN}, or that file"
    )


def test_options_that_say_nothing(train: Any, folder: Path) -> None:
    assert message(avmit.select, train, choice="paper-test") == (
        'choice=\'paper-test\': it is one of "paper-train", "paper-validation"'
    )
    assert message(avmit.select, train, choice_from=folder) == (
        'choice_from= says where choice="paper-train" comes from: name a choice'
    )
    assert (
        message(avmit.select, train, choice="paper-train", choice_from=folder, missing="some")
        == "missing='some': it is one of error, skip"
    )
    number: Any = 3
    assert message(avmit.select, train, choice="paper-train", choice_from=number).startswith(
        "choice_from=3 is no path and no address: pass choice_from= a folder that has "
    )
    bare = train.remove_columns("filename")
    said = message(avmit.select, bare, choice="paper-train", choice_from=folder)
    assert said.startswith("choice= needs column 'filename', which these rows do not have (label, ")


@pytest.mark.skipif(not (REFERENCE / "paper").is_dir(), reason="no reference data")
def test_the_authors_files_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVMIT_CACHE", str(tmp_path))
    (tmp_path / "paper").mkdir()
    for name in (TRAIN, VALIDATION):
        shutil.copy(REFERENCE / "paper" / name, tmp_path / "paper")
    ratings = avmit.join(
        str(REFERENCE / "annotations" / "video_ratings.csv"),
        str(REFERENCE / "annotations" / "video_ratings.csv"),
    )
    kinds: list[tuple[Any, int]] = [("paper-train", 410), ("paper-validation", 46)]
    for choice, count in kinds:
        chosen = avmit.select(ratings, choice=choice).to_pandas()
        assert chosen["AVMIT_label"].value_counts().tolist() == [count] * 16
        assert (chosen["r3"] >= 2).all()
