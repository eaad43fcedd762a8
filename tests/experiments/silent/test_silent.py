"""`avmit silent` lists the videos whose audio is that of silence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.choosing import message
from support.commands import Run
from support.feeding import KINDS, in_memory
from support.silence import SILENCE, Clip, embedded, sound, with_silent

import avmit
from experiments.silent.finding import find_silent

HOW = (
    "pass --like OTHER_DIR/CONFIG, what `avmit extract` makes of a video without sound by the same "
    "encoder"
)


def named(numbers: Any) -> list[str]:
    return [f"clap/v_{number}.mp4" for number in sorted(numbers)]


@settings(max_examples=25)
@given(st.sets(st.integers(0, 19), min_size=2), st.sampled_from(KINDS))
def test_the_one_matrix_that_is_repeated(
    tmp_path_factory: pytest.TempPathFactory, silent: set[int], kind: str
) -> None:
    package = embedded(
        tmp_path_factory.mktemp("silent") / "avmit", "mine", with_silent(list(silent)), kind
    )
    told: list[tuple[int, int]] = []
    found = find_silent(package, "mine", progress=lambda done, total: told.append((done, total)))
    assert found.filenames == named(silent)
    assert (found.videos, found.note) == (20, "")
    assert found.how == f"one matrix that {len(silent)} videos share, byte for byte"
    assert sum(done for done, _ in told) == 20
    assert {total for _, total in told} == {20}


def test_nothing_is_repeated(tmp_path: Path) -> None:
    package = embedded(tmp_path / "avmit", "mine", with_silent([3]))
    assert message(find_silent, package, "mine") == (
        "no two of the 20 videos of mine have the same audio, so that nothing tells what silence "
        f"is like: {HOW}"
    )


def test_a_sound_that_is_repeated(tmp_path: Path) -> None:
    """Found, for nothing else is, and said to be odd."""
    clips = [*with_silent([], 6), Clip("clap/again.mp4", sound(2))]
    found = find_silent(embedded(tmp_path / "avmit", "mine", clips), "mine")
    assert found.filenames == ["clap/v_2.mp4", "clap/again.mp4"]
    assert found.note == (
        "its timesteps differ, and those of silence are the same by most encoders: listen to one "
        f"of these videos, or {HOW}"
    )


def test_sounds_are_repeated_beside_silence(tmp_path: Path) -> None:
    clips = [*with_silent([1, 5, 6], 9), *(Clip(f"clap/{n}.mp4", sound(n)) for n in (0, 0, 2))]
    found = find_silent(embedded(tmp_path / "avmit", "mine", clips), "mine")
    assert found.filenames == named([1, 5, 6])
    assert found.note == (
        "2 other matrices are shared by videos too, whose timesteps differ: those are taken for "
        "the same sound twice"
    )


def test_which_of_several_is_not_known(tmp_path: Path) -> None:
    clips = [Clip(f"clap/v_{n}.mp4", sound(n % 4)) for n in range(11)]
    assert message(find_silent, embedded(tmp_path / "avmit", "mine", clips), "mine") == (
        "4 matrices are shared by videos of mine (3 as clap/v_0.mp4; 3 as clap/v_1.mp4; 3 as "
        f"clap/v_2.mp4; and 1 more), and which is that of silence is not known: {HOW}"
    )
    other = [Clip(f"clap/v_{n}.mp4", np.full((2, 3), n % 2, np.float32)) for n in range(5)]
    assert message(find_silent, embedded(tmp_path / "other", "mine", other), "mine").startswith(
        "2 matrices are shared by videos of mine (3 as clap/v_0.mp4; 2 as clap/v_1.mp4), and which"
    )


def test_like_a_clip_that_is_known(tmp_path: Path) -> None:
    package = embedded(tmp_path / "avmit", "mine", with_silent([7]))
    known = [Clip("a.mp4", sound(1), True), Clip("b.mp4", SILENCE, False)]
    for config, clips in (("one", [Clip("b.mp4", SILENCE)]), ("known", known)):
        like = embedded(tmp_path / "other", config, clips) / config
        found = find_silent(package, "mine", like)
        assert found.filenames == named([7])
        assert found.how == f"the audio of {like}"


def test_like_a_clip_of_another_version_of_the_encoder(tmp_path: Path) -> None:
    package = embedded(tmp_path / "avmit", "mine", with_silent([4, 7]))
    near = embedded(tmp_path / "other", "near", [Clip("b.mp4", SILENCE * np.float32(1.001))])
    said = message(find_silent, package, "mine", near / "near")
    assert said == (
        f"none of the 20 videos of mine has the audio of {near / 'near'} byte for byte; the "
        "nearest, clap/v_4.mp4, is 0.001 of its largest value away: pass --tolerance if that is "
        "silence by another version of the encoder"
    )
    assert find_silent(package, "mine", near / "near", 0.002).filenames == named([4, 7])
    short = embedded(tmp_path / "other", "short", [Clip("b.mp4", SILENCE[:2])]) / "short"
    assert message(find_silent, package, "mine", short, 0.5) == (
        f"none of the 20 videos of mine has the audio of {short} and none as many timesteps: name "
        "a config of the same encoder"
    )


def test_a_config_that_knows(tmp_path: Path) -> None:
    """Its own word counts, and what sounds the same has an audio stream of silence."""
    clips = [
        Clip(name, audio, number != 3)
        for number, (name, audio, _) in enumerate(with_silent([3, 8]))
    ]
    found = find_silent(embedded(tmp_path / "avmit", "mine", clips), "mine")
    assert found.filenames == named([3, 8])
    assert found.how == "has_audio, and the audio of those videos"


def test_like_what_says_nothing(tmp_path: Path) -> None:
    package = embedded(tmp_path / "avmit", "mine", with_silent([7]))
    several = embedded(tmp_path / "other", "several", with_silent([], 3)) / "several"
    assert message(find_silent, package, "mine", several) == (
        f"{several} has no video that it knows to have no audio, and 3 different matrices: name a "
        "config that `avmit extract` made of a video without sound"
    )
    wide = np.zeros((4, 5), np.float32)
    wider = embedded(tmp_path / "other", "wider", [Clip("b.mp4", wide)]) / "wider"
    assert message(find_silent, package, "mine", wider) == (
        f"{wider} has audio of width 5, not 3: name a config of the same encoder"
    )
    assert message(find_silent, package, "mine", tmp_path / "other" / "none") == (
        f"no config 'none' in {tmp_path / 'other'}; configs with audio: several, wider"
    )
    assert message(find_silent, package, "mine", None, 0.1) == (
        f"--tolerance is of silence that is known: {HOW}"
    )
    for wrong in (-0.1, 1.0, float("nan")):
        assert message(find_silent, package, "mine", None, wrong) == (
            f"--tolerance {wrong}: it is a share of the largest value, under 1"
        )


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    odd = np.full((4, 3), np.nan, np.float32)
    package = embedded(tmp_path / "avmit", "mine", [*with_silent([2]), Clip("odd.mp4", odd)])
    like = embedded(tmp_path / "other", "one", [Clip("b.mp4", SILENCE)]) / "one"
    assert find_silent(package, "mine", like, 0.1).filenames == named([2])


def test_the_command_lists_them(tmp_path: Path, run: Run) -> None:
    package = embedded(tmp_path / "avmit", "mine", with_silent([2, 7]))
    ran = run("silent", package, "--config", "mine")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        *named([2, 7]),
        "2 of 20 videos of mine are silent, found by one matrix that 2 videos share, byte for byte",
    ]
    ran = run("silent", package, "--config", "mine", "--json")
    assert json.loads(ran.out) == {
        "config": "mine",
        "videos": 20,
        "filenames": named([2, 7]),
        "how": "one matrix that 2 videos share, byte for byte",
        "note": "",
    }
    ran = run("silent", package, "--config", "vggish")
    assert ran.code == 1
    assert ran.err == (f"avmit: no config 'vggish' in {package}; configs with audio: mine\n")


def test_the_list_is_what_select_takes(tmp_path: Path, run: Run) -> None:
    package = embedded(tmp_path / "avmit", "mine", with_silent([2, 7, 15]))
    out = tmp_path / "silent.csv"
    ran = run("silent", package, "--config", "mine", "--out", out)
    assert ran.out.splitlines() == [
        "3 of 20 videos of mine are silent, found by one matrix that 3 videos share, byte for byte",
        f'{out} lists them: avmit.select(rows, has_audio=True, silent="{out}")',
    ]
    assert out.read_text() == "filename\nclap/v_2.mp4\nclap/v_7.mp4\nclap/v_15.mp4\n"
    train = avmit.load("mine", "train", data_dir=package)
    heard = avmit.select(train, has_audio=True, silent=out)
    assert heard["filename"][:] == named(set(range(14)) - {2, 7})
    assert avmit.select(train, has_audio=False, silent=out)["filename"][:] == named([2, 7])
    # Again the same, and never over another file.
    assert run("silent", package, "--config", "mine", "--out", out).code == 0
    out.write_text("mine\n")
    ran = run("silent", package, "--config", "mine", "--out", out)
    assert (ran.code, out.read_text()) == (1, "mine\n")
    assert ran.err == (f"avmit: {out} is there already and is another file: choose another --out\n")
    ran = run("silent", package, "--config", "mine", "--out", tmp_path / "no" / "list.csv")
    assert ran.err.startswith(f"avmit: {tmp_path / 'no' / 'list.csv'} cannot be written (No such")


def test_a_list_beside_what_rows_know(tmp_path: Path) -> None:
    ds = in_memory([(1, 1)] * 6).add_column("has_audio", [True, False, True, None, True, True])
    (tmp_path / "list.csv").write_text("filename\nvideo-0.mp4\nelsewhere.mp4\n")
    chosen = avmit.select(ds, has_audio=True, silent=tmp_path / "list.csv")
    assert chosen["filename"][:] == [f"video-{number}.mp4" for number in (2, 3, 4, 5)]
    chosen = avmit.select(ds, has_audio=False, silent=tmp_path / "list.csv")
    assert chosen["filename"][:] == ["video-0.mp4", "video-1.mp4"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"name\nvideo-0.mp4\n",
            "{file}, row 1: no column filename; it has name: take what `avmit ",
        ),
        (b"filename,r1\nvideo-0.mp4\n", "{file}, row 2: 1 fields where the header has 2"),
        (b"\xff", "{file} is not UTF-8 CSV"),
        (None, "{file} cannot be read (No such file or directory)"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "list.csv"
    if content is not None:
        file.write_bytes(content)
    ds = in_memory([(1, 1)] * 3)
    told = message(avmit.select, ds, has_audio=True, silent=file)
    assert told.startswith(said.format(file=file))


def test_a_list_without_a_question(tmp_path: Path) -> None:
    ds = in_memory([(1, 1)] * 3)
    (tmp_path / "list.csv").write_text("filename\n")
    assert message(avmit.select, ds, has_audio=True, silent=["a.mp4"]) == (
        "silent= is a list: pass the path of the file that `avmit silent` wrote, a CSV with the "
        "column filename"
    )
    assert message(avmit.select, ds, silent=tmp_path / "list.csv") == (
        "silent= says which videos have no audio: pass has_audio=True or False"
    )
    wrong: Any = "yes"
    assert message(avmit.select, ds, has_audio=wrong, silent=tmp_path / "list.csv") == (
        "has_audio='yes': it is True or False"
    )
    assert len(avmit.select(ds, has_audio=True, silent=tmp_path / "list.csv")) == 3
