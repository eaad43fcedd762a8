"""Which rows features have, and in which order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feeding import in_memory, made_rows
from support.releases import csv_rows

import avmit
from avmit import AvmitError

LENGTHS = [(2, 3), (4, 1), (1, 5), (3, 3), (2, 2)]
ROWS = made_rows(LENGTHS)
NAMES = [row["filename"] for row in ROWS]


@given(order=st.lists(st.sampled_from(range(5)), min_size=1, max_size=12))
def test_a_list_of_names_is_followed_also_where_one_comes_again(order: list[int]) -> None:
    found = avmit.features(in_memory(LENGTHS), order=[NAMES[n] for n in order])
    assert found.ids == [NAMES[n] for n in order]
    np.testing.assert_array_equal(found.audio, [ROWS[n]["audio"].mean(0) for n in order])
    assert found.labels is not None
    assert found.labels.tolist() == [ROWS[n]["label"] for n in order]
    assert found.lengths["visual"].tolist() == [LENGTHS[n][1] for n in order]
    assert found.description["order"] == "the list"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("order.txt", "video-3.mp4\n\n  video-0.mp4  \n"),
        ("order.txt", "\ufefffilename\r\nvideo-3.mp4\r\nvideo-0.mp4"),
        ("order.lst", "MiT_filename\nvideo-3.mp4\nvideo-0.mp4\n"),
        ("order.csv", "trial,filename\n1,video-3.mp4\n2,video-0.mp4\n"),
        ("order.tsv", "onset\tMiT_filename\n0.5\tvideo-3.mp4\n1.0\tn/a\n1.5\tvideo-0.mp4\n"),
    ],
)
def test_a_file_of_names(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = avmit.features(in_memory(LENGTHS), order=tmp_path / name)
    assert found.ids == ["video-3.mp4", "video-0.mp4"]
    assert found.description["order"] == name


def test_the_order_of_the_test_set(release: Path, package: Path) -> None:
    wanted = [row["filename"] for row in csv_rows(release / "test_set.csv")]
    found = avmit.features("vggish_vgg16", data_dir=package, order="test_set")
    assert found.ids == wanted
    there = avmit.features("vggish_vgg16", split="test", data_dir=package)
    assert sorted(there.ids) == sorted(wanted)
    for number, name in enumerate(wanted):
        np.testing.assert_array_equal(found.visual[number], there.visual[there.ids.index(name)])
    with pytest.raises(AvmitError, match="order='test_set' needs the package: name the config"):
        avmit.features(in_memory(LENGTHS), order="test_set")


def test_videos_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x/1.mp4\nvideo-2.mp4\nx/2.mp4\n")
    with pytest.raises(AvmitError) as error:
        avmit.features(in_memory(LENGTHS), order=tmp_path / "mine.txt")
    assert str(error.value) == (
        "2 of 3 videos of mine.txt are not in these rows, the first x/1.mp4: leave them out with "
        "missing='skip', or mend the list"
    )
    found = avmit.features(in_memory(LENGTHS), order=tmp_path / "mine.txt", missing="skip")
    assert (found.ids, found.left_out) == (["video-2.mp4"], ["x/1.mp4", "x/2.mp4"])
    with pytest.raises(AvmitError) as error:
        avmit.features(in_memory(LENGTHS), order=["y\x1b[2J"], missing="skip")
    assert str(error.value) == (
        "none of 1 videos of the list is in these rows: filenames are such as video-0.mp4"
    )


def test_orders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("filename\n\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9.mp4\n")
    pd.DataFrame({"clip": ["video-1.mp4"]}).to_csv(tmp_path / "other.csv", index=False)
    for name, said in {
        "empty.txt": "empty.txt names no video: give a filename a line",
        "latin.txt": "latin.txt cannot be read ('utf-8' codec can't decode",
        "nowhere.txt": "nowhere.txt cannot be read (No such file or directory): give package, ",
        "other.csv": "other.csv has no column filename or MiT_filename, only clip: rename the one",
    }.items():
        with pytest.raises(AvmitError) as error:
            avmit.features(in_memory(LENGTHS), order=tmp_path / name)
        assert said in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(AvmitError, match="the list names no video"):
        avmit.features(in_memory(LENGTHS), order=[])
