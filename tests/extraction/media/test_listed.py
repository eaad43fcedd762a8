"""A list's videos are found wherever people keep them, and no folder is listed twice."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.release.videos import ALIASES, Videos
from extraction.media.listed import FEW, find_listed


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize("others", [0, FEW])
def test_where_a_video_may_be(tmp_path: Path, others: int) -> None:
    beside = [f"dog/other{number}.mp4" for number in range(others)]
    touch(
        tmp_path,
        "top.mp4",
        "a/b/c/deep.mp4",
        "training/dog/one.mp4",
        "val/dog/two.mp4",
        "dog/three.mp4",
        "training/dog/three.mp4",
        *beside,
    )
    wanted = {
        "top.mp4": "top.mp4",
        "a/b/c/deep.mp4": "a/b/c/deep.mp4",
        "dog/one.mp4": "training/dog/one.mp4",
        "dog/two.mp4": "val/dog/two.mp4",
        "dog/three.mp4": "dog/three.mp4",
        "val/dog/two.mp4": "val/dog/two.mp4",
        "dog/none.mp4": None,
        "cat/one.mp4": None,
        "a/b": None,
        "x" * 300: None,
    }
    wanted |= {name: name for name in beside}
    assert find_listed(tmp_path, list(wanted)) == list(wanted.values())


@pytest.mark.parametrize("others", [0, FEW])
def test_names_in_another_form(tmp_path: Path, others: int) -> None:
    apart = unicodedata.normalize("NFD", "Übung")
    alias, ending = next(iter(ALIASES.items()))
    long_name = f"{alias[:6]}something{ending}.mp4"
    beside = [f"training/{apart}/{number}.mp4" for number in range(others)]
    touch(
        tmp_path,
        f"training/{apart}/{apart}.mp4",
        f"training/{apart}/{long_name}",
        "val/cutting  fruit/a  b.mp4",
        *beside,
    )
    found = find_listed(
        tmp_path,
        [
            "Übung/Übung.mp4",
            f"Übung/{alias}.mp4",
            "cutting fruit/a b.mp4",
            "Übung/none.mp4",
            *(f"Übung/{number}.mp4" for number in range(others)),
        ],
    )
    assert found == [
        f"training/{apart}/{apart}.mp4",
        f"training/{apart}/{long_name}",
        "val/cutting  fruit/a  b.mp4",
        None,
        *beside,
    ]


names = st.lists(
    st.text(st.sampled_from([*"aé e\u0301"]), min_size=1, max_size=3).map(str.strip).filter(bool),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(st.sampled_from(["training", "train", "validation", "val", "valid"]), names, names)
def test_in_moments_in_time_as_the_rated_ones(
    tmp_path_factory: pytest.TempPathFactory, spelled: str, there: list[str], wanted: list[str]
) -> None:
    root = touch(tmp_path_factory.mktemp("mit"), *(f"{spelled}/dog/{name}.mp4" for name in there))
    location = "training" if spelled.startswith("tr") else "validation"
    filenames = [f"dog/{name}.mp4" for name in wanted]
    found = [None if name is None else root / name for name in find_listed(root, filenames)]
    copy = Videos(root)
    expected = [copy.find(location, filename) for filename in filenames]
    # Where several files have a name in other forms, either is as good as the other.
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None and one != other:
            assert unicodedata.normalize("NFC", one.name) == unicodedata.normalize(
                "NFC", other.name
            )


def test_no_folder_is_listed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = [f"training/dog/{number}.mp4" for number in range(3 * FEW)]
    touch(tmp_path, *there, *(f"many/{number}.mp4" for number in range(3 * FEW)))
    listed: Counter[str] = Counter()
    scandir = os.scandir

    def counted(folder: Path) -> object:
        listed[str(folder)] += 1
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)

    def find(filenames: Sequence[str]) -> int:
        listed.clear()
        return sum(name is not None for name in find_listed(tmp_path, filenames))

    everywhere = [f"dog/{number}.mp4" for number in range(4 * FEW)]
    assert find(everywhere) == 3 * FEW
    assert listed == {str(tmp_path / "training/dog"): 1}
    assert find([f"many/{number}.mp4" for number in range(FEW)]) == FEW
    assert listed == {}


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(AvmitError) as raised:
        find_listed(tmp_path / "no", ["a"])
    assert str(raised.value) == (
        f"no folder {tmp_path / 'no'}: --videos takes the one that the paths of the list begin in"
    )
