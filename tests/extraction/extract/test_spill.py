"""What is kept of an unfinished shard: read back as it was, or not at all."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from extraction.extract.checkpoint import Spill
from extraction.media.video_file import BadVideo
from extraction.pipeline.embed import Embedded, Outcome

SHARD = "train-00000-of-00001.arrow"
PART = f".{SHARD}.00000.spill"


def keep(folder: Path, outcomes: list[Outcome], digest: str = "d") -> Path:
    spill = Spill(folder / SHARD, digest, len(outcomes))
    for outcome in outcomes:
        spill.keep(outcome)
    spill.flush()
    return folder / PART


def read(folder: Path, videos: int = 100, digest: str = "d") -> list[Outcome]:
    return list(Spill(folder / SHARD, digest, videos).read())


def described(outcomes: list[Outcome]) -> list[Any]:
    """Outcomes in a form that can be compared, bit by bit."""
    return [
        str(one)
        if isinstance(one, BadVideo)
        else (
            one.has_audio,
            one.counts,
            {name: _bits(one.embeddings[name]) for name in one.embeddings},
        )
        for one in outcomes
    ]


def _bits(matrix: Any) -> Any:
    return matrix.dtype.str, matrix.shape, matrix.tobytes()


def an_outcome(audio: bool, visual: bool) -> st.SearchStrategy[Outcome]:
    def matrix(width: int) -> st.SearchStrategy[Any]:
        shape = st.tuples(st.integers(1, 4), st.just(width))
        return shape.flatmap(lambda one: arrays.arrays(np.float32, one))

    wanted = {"audio": matrix(3)} if audio else {}
    wanted |= {"visual": matrix(2)} if visual else {}
    counts = st.fixed_dictionaries({name: st.integers(0, 9) for name in ("audio", "visual")})
    good = st.builds(Embedded, st.booleans(), st.fixed_dictionaries(wanted), counts)
    return good | st.text("aé\n\x1b", min_size=1).map(BadVideo)


SEVERAL = st.tuples(st.booleans(), st.booleans()).flatmap(
    lambda sides: st.lists(an_outcome(*sides), min_size=1, max_size=6)
)
ONE = Embedded(
    True,
    {"audio": np.ones((2, 3), np.float32), "visual": np.ones((1, 2), np.float32)},
    {"audio": 2, "visual": 1},
)


@given(outcomes=SEVERAL)
@settings(max_examples=50, deadline=None)
def test_what_is_kept_is_read_back(outcomes: list[Outcome], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("spill")
    keep(folder, outcomes)
    assert described(read(folder)) == described(outcomes)
    assert read(folder, digest="other") == []
    assert read(folder, videos=len(outcomes) - 1) == []
    assert [path.name for path in folder.iterdir()] == [PART]


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_seen(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("spill")
    outcomes: list[Outcome] = [ONE, BadVideo("is missing"), ONE]
    part = keep(folder, outcomes)
    content = bytearray(part.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    part.write_bytes(content)
    assert described(read(folder)) in ([], described(outcomes))


def test_what_came_after_damage_is_not_taken_up(tmp_path: Path) -> None:
    spill = Spill(tmp_path / SHARD, "d", 3)
    for outcome in (ONE, BadVideo("is missing"), ONE):
        spill.keep(outcome)
        spill.flush()
    assert len(read(tmp_path)) == 3
    (tmp_path / PART).write_bytes(b"")
    assert read(tmp_path) == []
    keep(tmp_path, [ONE, BadVideo("is missing")])
    assert len(read(tmp_path)) == 2


def npz(path: Path, compressed: bool = False, without: str = "", **changes: Any) -> None:
    """Write a part as another program might."""
    content = {
        "identity": np.array("d from 0"),
        "reasons": np.array([""]),
        "has_audio": np.array([True]),
        "items": np.array([[2, 1]]),
        "audio": np.ones((2, 3), np.float32),
        "audio_steps": np.array([2]),
    }
    content |= changes
    content.pop(without, None)
    save: Any = np.savez_compressed if compressed else np.savez
    with path.open("wb") as file:
        save(file, **content)


@pytest.mark.parametrize(
    "changes",
    [
        {"without": "audio"},
        {"without": "audio_steps"},
        {"without": "reasons"},
        {"audio_steps": np.array([3])},
        {"audio_steps": np.array([-1])},
        {"audio_steps": np.array([1, 1])},
        {"audio_steps": np.array(2)},
        {"audio": np.ones(2, np.float32)},
        {"audio": np.ones((3, 2), np.float32).T},
        {"items": np.array([[-1, 1]])},
        {"items": np.array([2, 1])},
        {"items": np.array([[2.0, 1.0]])},
        {"has_audio": np.array([])},
        {"reasons": np.array(["", ""])},
        {"reasons": np.array([None, 3])},
        {"identity": np.array(["d", 3], object)},
        {"more": np.array(1)},
        {"compressed": True},
    ],
)
def test_what_another_program_wrote(changes: dict[str, Any], tmp_path: Path) -> None:
    npz(tmp_path / PART)
    assert len(read(tmp_path)) == 1
    npz(tmp_path / PART, **changes)
    assert read(tmp_path) == []


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    described = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


@pytest.mark.parametrize("name", ["audio", "reasons", "items", "identity"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((10**12, 3), "<f4"),
        ((2**62, 2**62), "<f4"),
        ((-1, 3), "<f4"),
        ((10**10, 0), "<f4"),
        ((10**10, 0), "<U1"),
        ((10**10,), "<U0"),
    ],
)
def test_an_array_that_says_it_is_huge(
    name: str, shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    npz(tmp_path / PART, without=name)
    with zipfile.ZipFile(tmp_path / PART, "a") as archive:
        archive.writestr(f"{name}.npy", header(shape, dtype))
    assert read(tmp_path) == []


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    part = tmp_path / PART
    for content in (b"", b"garbage" * 100, b"PK\5\6" + bytes(18)):
        part.write_bytes(content)
        assert read(tmp_path) == []
    part.unlink()
    os.mkfifo(part)
    assert read(tmp_path) == []
    part.unlink()
    part.mkdir()
    assert read(tmp_path) == []


def test_no_link_is_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / PART).symlink_to(victim)
    (folder / PART).with_suffix(".part").symlink_to(victim)
    keep(folder, [ONE])
    assert victim.read_text() == "theirs"
    assert not (folder / PART).is_symlink()
    assert len(read(folder)) == 1
