"""`avmit.pairs` pairs audio and frames of videos: balanced, and as (seed, epoch) tells."""

import json
from collections import Counter
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.choosing import message
from support.feeding import LABELS, SOME, in_memory, made_rows

import avmit

COLUMNS = ("label", "filename")
MADE = made_rows(SOME)
LONG = [(1, 1)] * 40
"""Ten rows of each of the four classes."""
seeds = st.integers(0, 2**64 - 1)


def columns_of(batches: Any, *names: str) -> list[tuple[Any, ...]]:
    """Return what stands in these columns, pair by pair."""
    return [
        tuple(values)
        for batch in batches
        for values in zip(*(np.asarray(batch[name]).tolist() for name in names), strict=True)
    ]


def drawn(ds: Any, size: int = 5, **options: Any) -> list[tuple[Any, ...]]:
    """Return an epoch's (audio's video, frames' video, congruent, audio's class, frames' class)."""
    names = ("audio_filename", "visual_filename", "congruent", "audio_label", "visual_label")
    return columns_of(avmit.pairs(ds, size, columns=COLUMNS, **options), *names)


@settings(max_examples=60)
@given(
    rows=st.lists(st.sampled_from(range(4)), min_size=1, max_size=30).filter(
        lambda labels: len(set(labels)) > 1 and min(Counter(labels).values()) > 1
    ),
    size=st.integers(1, 9),
    share=st.floats(0, 1),
    itself=st.booleans(),
    length=st.none() | st.integers(1, 90),
    seed=seeds,
    epoch=seeds,
)
def test_balanced(
    rows: list[int],
    size: int,
    share: float,
    itself: bool,
    length: int | None,
    seed: int,
    epoch: int,
) -> None:
    every = in_memory(LONG)
    numbers = [4 * number + label for number, label in enumerate(rows)]
    ds = datasets.concatenate_datasets([every] * 4).select(numbers)
    options: dict[str, Any] = {"seed": seed, "epoch": epoch, "itself": itself, "length": length}
    names = [f"video-{number}.mp4" for number in range(len(rows))]
    ds = ds.remove_columns("filename").add_column("filename", names)
    label = dict(zip(names, ds["label"][:], strict=True))
    pairs = drawn(ds, size, congruent=share, **options)
    count = len(rows) if length is None else length
    assert len(pairs) == count
    assert sum(pair[2] for pair in pairs) == int(share * count + 0.5)
    for audio, visual, congruent, audio_label, visual_label in pairs:
        assert (label[audio], label[visual]) == (audio_label, visual_label)
        assert congruent == (audio_label == visual_label)
        assert itself or audio != visual
    classes = set(label.values())
    for kind in ({True}, {False}, {True, False}):
        audible = Counter(pair[3] for pair in pairs if pair[2] in kind)
        seen = Counter(pair[4] for pair in pairs if pair[2] in kind)
        assert spread(audible, classes) <= 1
        assert spread(seen, classes) <= len(kind) + 1
    for number in classes:
        used = Counter(pair[0] for pair in pairs if pair[3] == number)
        assert spread(used, {name for name in names if label[name] == number}) <= 1


def spread(counted: Counter[Any], every: set[Any]) -> int:
    """Return how far the counts of all there are, are apart."""
    counts = [counted[one] for one in every]
    return max(counts) - min(counts)


def test_each_class_meets_every_other() -> None:
    pairs = drawn(in_memory(LONG), congruent=0.25, length=48)
    met = Counter((pair[3], pair[4]) for pair in pairs if not pair[2])
    assert met == dict.fromkeys(permutations({pair[3] for pair in pairs}, 2), 3)
    frames = Counter(pair[1] for pair in pairs if not pair[2])
    assert max(frames.values()) == 1


@settings(max_examples=60)
@given(
    size=st.integers(1, 6),
    timesteps=st.none() | st.integers(1, 6),
    layout=st.sampled_from(["padded", "jagged"]),
    seed=seeds,
)
def test_the_arrays_are_those_of_either_row(
    size: int, timesteps: int | None, layout: Any, seed: int
) -> None:
    rows = {row["filename"]: row for row in MADE}
    if layout == "jagged":
        timesteps = None
    batches = avmit.pairs(
        in_memory(SOME),
        size,
        seed=seed,
        columns=COLUMNS,
        timesteps=timesteps,
        layout=layout,
        on_long="truncate",
    )
    for batch in batches:
        for name in ("audio", "visual"):
            own = [rows[file][name] for file in batch[f"{name}_filename"]]
            if layout == "jagged":
                offsets = batch[f"{name}_offsets"]
                got = [batch[f"{name}_values"][a:b] for a, b in pairwise(offsets)]
            else:
                steps = batch[f"{name}_mask"].shape[1]
                assert steps == (timesteps or max(map(len, own)))
                own = [array[:steps] for array in own]
                counts = batch[f"{name}_lengths"].tolist()
                assert (batch[f"{name}_mask"].sum(1) == counts).all()
                got = [array[:count] for array, count in zip(batch[name], counts, strict=True)]
                padding = ~batch[f"{name}_mask"]
                assert not batch[name][padding].any()
            for one, other in zip(got, own, strict=True):
                np.testing.assert_array_equal(one, other)
            labels = [rows[file]["label"] for file in batch[f"{name}_filename"]]
            assert batch[f"{name}_label"].tolist() == labels


def test_what_stands_in_a_batch() -> None:
    batch = next(iter(avmit.pairs(in_memory(SOME), 4, timesteps=7)))
    assert list(batch) == [
        *("audio", "audio_lengths", "audio_mask", "visual", "visual_lengths", "visual_mask"),
        *("audio_label", "visual_label", "congruent"),
    ]
    assert batch["audio"].shape == (4, 7, 3)
    assert batch["congruent"].dtype == bool


@pytest.mark.parametrize("format", ["torch", "tensorflow", "jax"])
def test_the_formats(format: Any) -> None:
    pytest.importorskip(format)
    plain = avmit.pairs(in_memory(SOME), 4, seed=3)
    formatted = avmit.pairs(in_memory(SOME), 4, seed=3, format=format)
    for one, other in zip(plain, formatted, strict=True):
        assert list(one) == list(other)
        for name in one:
            np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]))


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(1, 6), st.booleans(), seeds)
def test_ranks_share_an_epoch(world: int, size: int, drop_last: bool, seed: int) -> None:
    options: dict[str, Any] = {"seed": seed, "drop_last": drop_last}
    names = ("audio_filename", "visual_filename", "congruent")
    whole = [
        columns_of([batch], *names)
        for batch in avmit.pairs(in_memory(SOME), size, columns=COLUMNS, seed=seed)
    ]
    ranks = []
    for rank in range(world):
        batches = avmit.pairs(
            in_memory(SOME), size, columns=COLUMNS, rank=rank, world_size=world, **options
        )
        ranks.append([columns_of([batch], *names) for batch in batches])
        assert len(ranks[rank]) == len(batches)
        assert ranks[rank] == whole[rank::world][: len(batches)]
    if drop_last:
        assert {len(rank) for rank in ranks} == {len(SOME) // size // world}
    else:
        assert sum(map(len, ranks)) == len(whole)


@settings(max_examples=40)
@given(st.integers(0, 6), st.integers(0, 2), st.integers(0, 3))
def test_what_is_left_is_what_would_have_come(position: int, epochs: int, ahead: int) -> None:
    def made(seed: int) -> Any:
        return avmit.pairs(in_memory(SOME), 4, columns=COLUMNS, seed=seed, ahead=ahead)

    names = ("audio", "visual", "audio_filename", "visual_filename", "congruent")
    whole = made(7)
    for _ in range(epochs):
        list(whole)
    coming = iter(whole)
    for _ in range(min(position, len(whole))):
        next(coming)
    state = json.loads(json.dumps(whole.state_dict()))
    rest = columns_of(coming, *names)
    again = made(0)
    again.load_state_dict(state)
    assert columns_of(again, *names) == rest
    assert columns_of(again, *names) == columns_of(whole, *names)


def test_epochs_and_seeds_draw_others() -> None:
    ds = in_memory(SOME)
    batches = avmit.pairs(ds, 5, columns=COLUMNS, seed=5)
    names = ("audio_filename", "visual_filename", "congruent", "audio_label", "visual_label")
    epochs = [columns_of(batches, *names) for _ in range(3)]
    assert epochs == [drawn(ds, seed=5, epoch=epoch) for epoch in range(3)]
    assert len({str(epoch) for epoch in [*epochs, drawn(ds, seed=6)]}) == 4
    batches.set_epoch(1)
    assert columns_of(batches, *names) == epochs[1]


def test_pairs_that_do_not_change() -> None:
    """Another machine, and another release, draws these."""
    pairs = drawn(in_memory(SOME), seed=1, epoch=2, length=4)
    assert [(audio, visual) for audio, visual, *_ in pairs] == [
        ("video-18.mp4", "video-1.mp4"),
        ("video-1.mp4", "video-9.mp4"),
        ("video-15.mp4", "video-7.mp4"),
        ("video-16.mp4", "video-3.mp4"),
    ]


def test_a_video_itself_is_one_of_its_class() -> None:
    """Of ten videos in a class, a tenth of the congruent pairs are of one video."""
    ds = in_memory(LONG)
    pairs = drawn(ds, 100, congruent=1, itself=True, length=4000)
    share = np.mean([audio == visual for audio, visual, *_ in pairs])
    assert 0.07 < share < 0.13  # six standard deviations
    others = Counter((int(visual[6:-4]) - int(audio[6:-4])) % 40 for audio, visual, *_ in pairs)
    assert set(others) == set(range(0, 40, 4))
    assert max(others.values()) < 2 * min(others.values())


@settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=len(SOME), max_size=len(SOME)), seeds)
def test_no_audio_of_videos_without(has_audio: list[bool], seed: int) -> None:
    ds = in_memory(SOME).add_column("has_audio", has_audio)
    heard = {row["filename"] for row, known in zip(MADE, has_audio, strict=True) if known}
    lacking = {LABELS[row["label"]] for row in MADE} - {
        LABELS[row["label"]] for row in MADE if row["filename"] in heard
    }
    if lacking:
        said = message(avmit.pairs, ds)
        assert said == (
            f"no video of class '{min(lacking)}' has audio, by column 'has_audio': leave it out "
            "with avmit.select(rows, labels=...)"
        )
        return
    pairs = drawn(ds, seed=seed, length=200)
    assert {audio for audio, *_ in pairs} == heard
    assert {visual for _, visual, *_ in pairs} == {row["filename"] for row in MADE}


def test_has_audio_that_is_not_known_of_some() -> None:
    known = [None if number % 2 else True for number in range(len(SOME))]
    ds = in_memory(SOME).add_column("has_audio", known)
    assert len({audio for audio, *_ in drawn(ds, length=200)}) == len(SOME)


def test_rows_of_all_kinds(package: Path) -> None:
    train = avmit.load("vggish_vgg16", "train", data_dir=package)
    other = avmit.load("yamnet_effnet", "train", data_dir=package)
    chosen = avmit.select(train, labels=["barking", "diving"], relabel=True).shuffle(seed=1)
    pairs = drawn(chosen)
    assert {pair[3] for pair in pairs} == {0, 1}
    joined = avmit.join(
        train.select_columns(["filename", "label", "audio"]),
        other.select_columns(["filename", "visual"]),
    )
    audio = dict(zip(train["filename"][:], train.with_format("numpy")["audio"][:], strict=True))
    visual = dict(zip(other["filename"][:], other.with_format("numpy")["visual"][:], strict=True))
    for batch in avmit.pairs(joined, 8, columns=COLUMNS):
        for index, count in enumerate(batch["audio_lengths"]):
            one = audio[batch["audio_filename"][index]]
            np.testing.assert_array_equal(batch["audio"][index, :count], np.stack(one))
        for index, count in enumerate(batch["visual_lengths"]):
            one = visual[batch["visual_filename"][index]]
            np.testing.assert_array_equal(batch["visual"][index, :count], np.stack(one))


def test_errors() -> None:
    ds = in_memory(SOME)
    for wrong in (-0.1, 1.01, float("nan"), True, "half", None):
        assert message(avmit.pairs, ds, congruent=wrong) == (
            f"congruent={wrong!r}: it is a share, from 0 to 1"
        )
    assert message(avmit.pairs, ds, length=0) == "length=0: it is a whole number from 1 on"
    assert message(avmit.pairs, ds, batch_size=0).startswith("batch_size=0: ")
    claps = avmit.select(ds, labels="clap")
    assert message(avmit.pairs, claps) == (
        "all rows are of class 'clap', and incongruent pairs are of two: pass congruent=1, or "
        "choose more classes"
    )
    assert len(drawn(claps, congruent=1)) == len(claps)
    few = ds.select([0, 1, 4])
    assert message(avmit.pairs, few) == (
        "class 'yawn' has one video, and no other to pair it with: pass itself=True, or leave it "
        "out with avmit.select(rows, labels=...)"
    )
    assert len(drawn(few, congruent=0)) == len(drawn(few, itself=True)) == 3
    assert message(avmit.pairs, ds.select([])) == "pairs of no rows: choose others"
    unknown = ds.select_columns(["audio", "visual"])
    assert message(avmit.pairs, unknown, columns=()).startswith("pairs needs a column 'label' or")
    label = [None if number == 3 else 1 for number in range(len(ds))]
    none = ds.remove_columns("label").add_column("label", label, feature=ds.features["label"])
    assert message(avmit.pairs, none) == (
        "1 of 23 rows are of no class: leave them out with avmit.select(rows, labels=...)"
    )
    assert message(avmit.pairs, ds, columns=("r4",)).startswith("no column 'r4' in these rows; ")
    assert message(avmit.pairs, ds, columns="label").startswith("columns='label' is a string")
    odd = ds.add_column("lengths", [0] * len(ds))
    assert message(avmit.pairs, odd, columns=("lengths",)).startswith(
        "a batch would have two entries 'audio_lengths', one that comes with embeddings"
    )
    long = avmit.pairs(ds, timesteps=1, ahead=0)
    assert " timesteps, more than timesteps=1: raise that" in message(list, long)
    assert message(avmit.pairs, ds.to_iterable_dataset()).startswith("a stream has no row numbers")


@pytest.mark.parametrize(
    ("taker", "needs"),
    [
        *(("batches", "avmit"), ("pairs", "avmit"), ("rows", "avmit"), ("select", "avmit")),
        *(("torch_loader", "torch"), ("tf_dataset", "tensorflow"), ("keras_dataset", "keras")),
    ],
)
def test_pairs_are_batches_already(taker: str, needs: str) -> None:
    pytest.importorskip(needs)
    assert message(getattr(avmit, taker), avmit.pairs(in_memory(SOME))) == (
        "these are batches already: iterate over them; format= of avmit.batches and avmit.pairs "
        "says whose arrays they are, such as format='torch'"
    )
