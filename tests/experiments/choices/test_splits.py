"""`avmit.splits` chooses balanced videos, with no source video on two sides."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.choosing import clip, message, rated
from support.places import REFERENCE

import avmit

CLASSES = ("bark", "clap", "dive")


def source(name: str) -> str:
    """The source of a clip that `clip` named."""
    return name.split("/")[1].removeprefix("yt-").rsplit("_", 1)[0]


@st.composite
def clips(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    """Some videos: clips of sources, of which some are of several classes, some named barely."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(CLASSES), st.integers(0, 20), st.booleans(), st.integers(0, 4)
            ),
            max_size=60,
        )
    )
    videos = []
    for second, (label, number, bare, r3) in enumerate(drawn):
        name = clip(label, f"source{number}", second)
        videos.append((name.replace("yt-", "") if bare else name, label, r3))
    return videos


def per_class(rows: Any) -> dict[str, int]:
    names = rows.features["label"].names
    return dict(Counter(names[label] for label in rows["label"][:]))


@settings(max_examples=150)
@given(
    videos=clips(),
    test=st.sets(st.integers(0, 25).map("source{}".format), max_size=3),
    train=st.integers(1, 6),
    validation=st.integers(1, 4),
    seed=st.integers(0, 2**64 - 1),
    keep=st.booleans(),
)
def test_balanced_and_apart(
    videos: Any, test: set[str], train: int, validation: int, seed: int, keep: bool
) -> None:
    ds = rated(videos, CLASSES)
    tests = {name for name, _, _ in videos if source(name) in test and name[-5] in "13579"}
    near = {source(name) for name in tests}
    options: dict[str, Any] = {"labels": CLASSES, "test": tests, "keep_test_sources": keep}
    try:
        chosen = avmit.splits(ds, train, validation, seed, **options)
    except avmit.AvmitError as error:
        assert "are more than there are" in str(error)
        if "is possible" in str(error):
            most, beside = map(int, re.findall("=([0-9]+)", str(error))[-2:])
            assert most >= 1
            assert most < train if beside == validation else most <= train
            avmit.splits(ds, most, beside, seed, **options)
        return
    assert list(chosen) == ["train", "validation"]
    sides = {name: rows["filename"][:] for name, rows in chosen.items()}
    assert per_class(chosen["train"]) == dict.fromkeys(CLASSES, train)
    assert per_class(chosen["validation"]) == dict.fromkeys(CLASSES, validation)
    for name, names in sides.items():
        assert len(set(names)) == len(names)
        assert not tests & set(names)
        assert keep or not near & set(map(source, names))
        assert min(chosen[name]["r3"][:]) >= 2
        places = [ds["filename"][:].index(one) for one in names]
        assert places == sorted(places)
    assert not set(map(source, sides["train"])) & set(map(source, sides["validation"]))


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=9),
    train=st.integers(1, 9),
    validation=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_what_is_possible_with_whole_sources_is_found(
    sizes: list[int], train: int, validation: int, seed: int
) -> None:
    """Compared with all ways to deal the sources of a class out."""
    videos = [
        (clip("bark", f"source{number}", second), "bark", 3)
        for number, size in enumerate(sizes)
        for second in range(size)
    ]
    sums = {0}
    for size in sizes:
        sums |= {one + size for one in sums}
    total = sum(sizes)
    possible = any(one >= validation and total - one >= train for one in sums)
    options: dict[str, Any] = {"labels": ["bark"], "test": []}
    if possible:
        avmit.splits(rated(videos), train, validation, seed, **options)
        return
    said = message(avmit.splits, rated(videos), train, validation, seed, **options)
    most = max((total - one for one in sums if one >= validation), default=0)
    if most:
        assert said.endswith(f"; per_class={most} is possible with validation={validation}")
    elif len(sizes) > 1:
        assert said.endswith(" is possible with validation=1")
    else:
        assert said.endswith(
            "it takes two source videos of each: choose other classes with labels="
        )


@settings(max_examples=60)
@given(videos=clips(), seed=st.integers(0, 9), validation=st.none() | st.integers(1, 4))
def test_as_many_as_there_can_be(videos: Any, seed: int, validation: int | None) -> None:
    ds = rated(videos, CLASSES)
    options: dict[str, Any] = {"labels": CLASSES, "test": []}
    try:
        found = avmit.splits(ds, None, validation, seed, **options)
    except avmit.AvmitError as error:
        assert str(error).startswith(f"per_class=410 and validation={validation or 46} are more")
        with pytest.raises(avmit.AvmitError):
            avmit.splits(ds, 1, validation or 1, seed, **options)
        return
    both = [len(rows) // len(CLASSES) for rows in found.values()]
    assert both[1] == (validation or 1)  # of so few
    same = avmit.splits(ds, both[0], both[1], seed, **options)
    assert [rows["filename"][:] for rows in same.values()] == [
        rows["filename"][:] for rows in found.values()
    ]
    with pytest.raises(avmit.AvmitError, match="are more than there are"):
        avmit.splits(ds, both[0] + 1, both[1], seed, **options)


@pytest.mark.parametrize(
    ("clips", "train", "validation"), [(500, 410, 46), (430, 387, 43), (40, 36, 4), (5, 4, 1)]
)
def test_the_papers_numbers_or_its_share(clips: int, train: int, validation: int) -> None:
    ds = rated([(clip("bark", f"source{number}", 0), "bark", 3) for number in range(clips)])
    found = avmit.splits(ds, None, None, labels=["bark"], test=[])
    assert [len(rows) for rows in found.values()] == [train, validation]
    found = avmit.splits(ds, 2, None, labels=["bark"], test=[])
    assert [len(rows) for rows in found.values()] == [2, 1]


MANY = [
    (clip(label, f"{label}{number // 2}", number), label, 2 + number % 2)
    for label in CLASSES
    for number in range(40)
]


@settings(max_examples=20)
@given(st.permutations(range(len(MANY))), st.integers(0, 5))
def test_the_order_of_the_rows_does_not_matter(order: list[int], seed: int) -> None:
    ds = rated(MANY)
    options: dict[str, Any] = {"labels": CLASSES, "test": ["bark/yt-bark0_0.mp4"]}
    one = avmit.splits(ds, 12, 4, seed, **options)
    other = avmit.splits(ds.select(order), 12, 4, seed, **options)
    for name in one:
        assert sorted(one[name]["filename"][:]) == sorted(other[name]["filename"][:])


def test_seeds_choose_others_and_the_same_each_time() -> None:
    options: dict[str, Any] = {"labels": CLASSES, "test": []}
    chosen = [
        sorted(avmit.splits(rated(MANY), 12, 4, seed, **options)["train"]["filename"][:])
        for seed in (0, 1, 0)
    ]
    assert chosen[0] == chosen[2] != chosen[1]


def test_a_choice_that_does_not_change() -> None:
    """Whoever names a seed in a paper means these videos, on any machine and in any release."""
    chosen = avmit.splits(rated(MANY), 2, 1, 7, labels=CLASSES, test=[])
    assert chosen["train"]["filename"][:] == [
        "bark/yt-bark0_1.mp4",
        "bark/yt-bark16_32.mp4",
        "clap/yt-clap2_5.mp4",
        "clap/yt-clap12_25.mp4",
        "dive/yt-dive8_16.mp4",
        "dive/yt-dive15_30.mp4",
    ]
    assert chosen["validation"]["filename"][:] == [
        "bark/yt-bark13_27.mp4",
        "clap/yt-clap3_6.mp4",
        "dive/yt-dive13_26.mp4",
    ]


def test_a_package_knows_its_test_videos(package: Path) -> None:
    rows = avmit.load("vggish_vgg16", "train+test", data_dir=package)
    tests = set(avmit.load("test_set", "test", data_dir=package)["filename"][:])
    for ds in (rows, rows.shuffle(seed=1), avmit.load("ratings", "train", data_dir=package)):
        chosen = avmit.splits(ds, 1, 1, min_r3=None)
        assert len(chosen["train"]) == len(chosen["validation"]) == 16
        assert not tests & {*chosen["train"]["filename"][:], *chosen["validation"]["filename"][:]}
    joined = avmit.join(rows, avmit.load("ratings", "train", data_dir=package))
    same = avmit.splits(joined, 1, 1, min_r3=None)["validation"].to_pandas()
    assert (
        same["filename"].tolist()
        == avmit.splits(rows, 1, 1, min_r3=None)["validation"]["filename"][:]
    )
    for batch in avmit.batches(chosen["train"], audio=False, visual=False, columns=("filename",)):
        assert batch["filename"] == chosen["train"]["filename"][:]


def test_labels_numbered_anew() -> None:
    chosen = avmit.splits(rated(MANY), 5, 2, labels=["dive", "bark"], test=[], relabel=True)
    for rows in chosen.values():
        assert rows.features["label"].names == ["bark", "dive"]
        assert [rows.features["label"].names[n] for n in rows["label"][:]] == [
            name.split("/")[0] for name in rows["filename"][:]
        ]


@pytest.mark.parametrize("kind", ["path", "rows", "column", "frame", "array", "names"])
def test_the_test_videos_in_all_kinds(kind: str, tmp_path: Path) -> None:
    names = [name for name, _, _ in MANY if name.endswith("7.mp4")]
    rows = rated([(name, "bark", 3) for name in names])
    (tmp_path / "test.csv").write_text("\n".join(["filename", *names]))
    test = {
        "path": tmp_path / "test.csv",
        "rows": rows,
        "column": rows["filename"],
        "frame": rows.to_pandas(),
        "array": np.array(names),
        "names": names,
    }[kind]
    chosen = avmit.splits(rated(MANY), 12, 4, labels=CLASSES, test=test)
    kept = {source(name) for rows in chosen.values() for name in rows["filename"][:]}
    assert not kept & set(map(source, names))


def test_errors() -> None:
    ds = rated(MANY)
    assert message(avmit.splits, ds, 30, 11, labels=CLASSES, test=[]) == (
        "per_class=30 and validation=11 are more than there are: class 'bark' has 40 to choose "
        "from, of 20 source videos; per_class=28 is possible with validation=11"
    )
    near = [name for name, _, _ in MANY if "bark0" in name][:1]
    assert message(avmit.splits, ds, 39, 2, labels=CLASSES, test=near) == (
        "per_class=39 and validation=2 are more than there are: class 'bark' has 38 to choose "
        "from, of 19 source videos, and 1 whose source has test videos (keep_test_sources=True); "
        "per_class=36 is possible with validation=2"
    )
    assert message(avmit.splits, ds, 50, 41, labels=CLASSES, test=[]).endswith(
        "class 'bark' has 40 to choose from, of 20 source videos; per_class=36 is possible with "
        "validation=4"
    )
    assert message(avmit.splits, rated(MANY * 2), labels=CLASSES, test=[]) == (
        "'bark/yt-bark0_0.mp4' is in two rows, and splits are of videos: keep one of them"
    )
    assert message(avmit.splits, ds, labels=CLASSES) == (
        "which videos are the test set's is not known, since these rows are not mapped from a "
        'package that has it: pass test=avmit.load("test_set", "test", data_dir=...), a CSV with '
        "their filename, or names"
    )
    assert message(avmit.splits, ds, test=[]).startswith("no class 'barking' in 'label': did you")
    for wrong in (0, -1, 1.5, True):
        assert message(avmit.splits, ds, wrong).startswith(f"per_class={wrong!r}")
        assert message(avmit.splits, ds, 1, wrong).startswith(f"validation={wrong!r}")
    assert message(avmit.splits, ds, seed=-1) == "seed=-1: it is a whole number from 0 on"
    assert message(avmit.splits, ds.remove_columns("filename"), labels="bark", test=[]) == (
        "splits needs column 'filename', which these rows do not have (label, r3): load it too"
    )
    assert message(avmit.splits, ds.remove_columns("r3"), labels="bark", test=[]).startswith(
        "min_r3 needs column 'r3'"
    )
    assert message(avmit.splits, ds, labels="bark", test=[1]).startswith("test= is no list of name")


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference data")
def test_the_released_names() -> None:
    """The sample has just the videos that the authors chose, 456 of each class."""
    ratings = avmit.join(
        str(REFERENCE / "annotations" / "video_ratings.csv"),
        str(REFERENCE / "annotations" / "video_ratings.csv"),
    )
    test = REFERENCE / "annotations" / "test_set.csv"
    assert message(avmit.splits, ratings, test=test) == (
        "per_class=410 and validation=46 are more than there are: class 'inflating' has 430 to "
        "choose from, of 364 source videos, and 26 whose source has test videos "
        "(keep_test_sources=True); per_class=384 is possible with validation=46"
    )
    chosen = avmit.splits(ratings, test=test, keep_test_sources=True)
    counts = [rows.to_pandas()["AVMIT_label"].value_counts().tolist() for rows in chosen.values()]
    assert counts == [[410] * 16, [46] * 16]
