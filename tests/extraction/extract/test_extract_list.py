"""`avmit extract --list`: any videos become a package of their own, which all else works with."""

import csv
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import make_clip
from support.commands import Ran, Run
from support.lists import ENCODERS, lay_out_files, write_list
from support.mit import lay_out

import avmit
from avmit import AvmitError
from conversion.convert.build import Options as ConvertOptions
from conversion.convert.build import convert
from conversion.package.manifest import read_manifest
from conversion.release.generate import generate_release
from conversion.verify.verification import verify
from extraction.encoders.settings import Modality
from extraction.extract.build import extract
from extraction.extract.options import EncoderOptions, Options

COLUMNS = {
    "filename": ["a/b/one.mp4", "two.mp4", "dog/three.mp4", "dog/ü 4.mp4"],
    "label": ["cat", "dog", "dog", "a | b"],
    "score": ["1.5", "2", "3e2", "0.1"],
    "id": ["007", "8", "9", ""],
    "split": ["train", "train", "val", "val"],
}
PLACES = ["a/b/one.mp4", "two.mp4", "training/dog/three.mp4", "val/dog/ü 4.mp4"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(folder / "a.mp4", rate=5, seconds=1),
        make_clip(folder / "b.mp4", rate=5, seconds=1, amplitudes=None),
        make_clip(folder / "c.mp4", rate=10, seconds=1, amplitudes=(0.2,)),
    ]


@pytest.fixture
def videos(tmp_path: Path, clips: list[Path]) -> Path:
    return lay_out_files(tmp_path / "videos", PLACES, clips)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "encoders.py"
    path.write_text(ENCODERS)
    return path


@pytest.fixture
def extracted(run: Run, videos: Path, module: Path, tmp_path: Path) -> Callable[..., Ran]:
    """Run the command on `list.csv`, which has COLUMNS unless it is there."""
    if not (tmp_path / "list.csv").exists():
        write_list(tmp_path / "list.csv", COLUMNS)

    def run_it(*more: object, what: tuple[object, ...] = ("--list", "list.csv")) -> Ran:
        encoders = ("--encoder-module", module, "--audio", "loud", "--visual", "mean")
        return run(
            *("extract", "--videos", videos, *what, *encoders),
            *("--config", "mine", "--out", "pkg", *more),
        )

    return run_it


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_list_becomes_a_package_of_its_own(
    extracted: Callable[..., Ran], run: Run, tmp_path: Path, cache: Path
) -> None:
    ran = extracted()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "mine: train 2 rows, val 2 rows"
    package = tmp_path / "pkg"
    videos = read_manifest(package / "mine").videos
    assert (videos["list"], videos["count"]) == ("list.csv", 4)

    loaded = avmit.load("mine", data_dir=package)
    plain = datasets.load_dataset(str(package), "mine")
    for found in (loaded, plain):
        rows = [row for split in found.values() for row in split]
        assert list(found) == ["train", "val"]
        assert [row["filename"] for row in rows] == COLUMNS["filename"]
        names = found["val"].features["label"].names
        assert names == ["a | b", "cat", "dog"]
        assert [names[row["label"]] for row in rows] == COLUMNS["label"]
        assert [row["score"] for row in rows] == [1.5, 2.0, 300.0, 0.1]
        assert [row["id"] for row in rows] == COLUMNS["id"]
        assert [row["has_audio"] for row in rows] == [True, False, True, True]
    assert not loaded["train"].info.description
    assert list(loaded["train"].features) == [
        *("filename", "label", "score", "id", "audio", "visual", "has_audio"),
    ]

    ran = run("verify", package)
    assert ran.code == 0, ran.out
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "videos . ok those of lists, not AVMIT's rated" in lines
    assert "complete mine ok 4 rows, 0 listed without, of 4 videos of the list" in lines
    ran = run("info", package)
    assert f"mine is from the 4 videos of list.csv, SHA-256 {videos['sha256']}, by" in ran.out
    assert "rated" not in ran.out
    card = (package / "README.md").read_text(encoding="utf-8")
    assert "Embeddings of the 4 videos of `list.csv`" in card
    for claim in ("57,177", "rated", "Zenodo", "CC0", "2308.09685", "participants", "license"):
        assert claim not in card
    assert run("card", "pkg").out == "pkg/README.md is up to date\n"


def test_what_else_works_with_it(extracted: Callable[..., Ran], run: Run, tmp_path: Path) -> None:
    assert extracted().code == 0
    assert extracted("--config", "other").code == 0
    ran = run("compare", "pkg", "mine", "other")
    assert ran.code == 0 and "dog/ü 4.mp4" in ran.out
    package = tmp_path / "pkg"
    train = avmit.load("mine", "train", data_dir=package)
    (batch,) = avmit.batches(train, columns=("label", "score"))
    assert batch["visual"].shape == (2, 2, 3) and batch["score"].tolist() == [1.5, 2.0]
    rows = avmit.rows(train, columns=("filename",))
    assert [row["filename"] for row in rows] == COLUMNS["filename"][:2]
    assert avmit.select(train, labels="dog")["filename"] == ["two.mp4"]
    joined = avmit.join(train, tmp_path / "list.csv", how="left")
    assert len(joined) == 2 and not joined.report.left.alone
    streamed = avmit.stream("mine", "val", data_dir=package)
    assert [row["filename"] for row in streamed] == COLUMNS["filename"][2:]
    (batch,) = avmit.stream("mine", "val", data_dir=package, batch_size=4)
    assert batch["label"].tolist() == [2, 0]
    with pytest.raises(AvmitError, match="min_r3 needs column 'r3'"):
        avmit.select(train, min_r3=2)
    ran = run("export", "pkg", "--config", "mine", "--out", "records")
    assert (ran.code, ran.err) == (
        1,
        "avmit: 'mine' is of the videos of a list, and records are of AVMIT's rated ones, by "
        "their tfrecord_filename; choose from none\n",
    )


def test_a_list_without_labels_is_batched_without(
    extracted: Callable[..., Ran], tmp_path: Path
) -> None:
    write_list(tmp_path / "list.csv", {"filename": COLUMNS["filename"]})
    assert extracted().out.splitlines()[0] == "mine: train 4 rows"
    train = avmit.load("mine", "train", data_dir=tmp_path / "pkg")
    (batch,) = avmit.batches(train, columns=())
    assert batch["audio"].shape == (4, batch["audio_lengths"].max(), 2)
    with pytest.raises(AvmitError, match="'label'"):
        avmit.batches(train)
    assert all(check.ok for check in verify(tmp_path / "pkg", workers=1))


def test_the_same_list_gives_the_same_bytes(extracted: Callable[..., Ran], tmp_path: Path) -> None:
    assert extracted("--workers", 1).code == 0
    before = contents(tmp_path / "pkg" / "mine")
    assert "(unchanged)" in extracted("--workers", 2).out
    assert contents(tmp_path / "pkg" / "mine") == before
    # Rows count, not how a spreadsheet writes them.
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([[*COLUMNS], *zip(*COLUMNS.values(), strict=True)])
    assert "2 of 2 shards kept" in extracted().out
    after = contents(tmp_path / "pkg" / "mine")
    assert {n for n in after if after[n] != before[n]} == {"manifest.json"}


def test_the_first_of_a_list_are_tried(extracted: Callable[..., Ran], tmp_path: Path) -> None:
    ran = extracted("--limit", 3)
    assert ran.out.splitlines()[0] == "mine: train 2 rows, val 1 rows"
    package = tmp_path / "pkg"
    assert all(check.ok for check in verify(package, workers=1))
    # Labels have the numbers that they will have with all videos.
    assert avmit.load("mine", "val", data_dir=package).features["label"].names == [
        *("a | b", "cat", "dog"),
    ]
    card = (package / "README.md").read_text(encoding="utf-8")
    assert "the first 3 of the 4 videos of `list.csv`" in card
    ran = extracted()
    assert ran.out.splitlines()[:2] == [
        "mine: train 2 rows, val 2 rows",
        "  1 of 2 shards kept from an earlier run",
    ]
    assert all(check.ok for check in verify(package, workers=1))
    assert extracted("--limit", 0).code == 2


def test_bad_videos_of_a_list(
    extracted: Callable[..., Ran], clips: list[Path], videos: Path, tmp_path: Path
) -> None:
    (videos / "two.mp4").unlink()
    (videos / "training/dog/three.mp4").unlink()
    (videos / "training/dog/three.mp4").write_bytes(b"no video")
    ran = extracted()
    assert ran.code == 1
    assert ran.err == (
        f"avmit: bad videos in {videos}: two.mp4 is missing. Mend them and run again, "
        "or leave them out with --on-bad-video skip\n"
    )
    assert extracted("--on-bad-video", "skip").code == 0
    package = tmp_path / "pkg"
    with (package / "mine" / "bad_videos.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["filename", "reason"]
    assert rows[1] == ["two.mp4", "is missing"]
    assert rows[2][0] == "dog/three.mp4"
    assert all(check.ok for check in verify(package, workers=1))
    shutil.copyfile(clips[1], videos / "two.mp4")
    ran = extracted("--retry-failed")
    assert "  1 videos that failed before have a row now" in ran.out.splitlines()
    shutil.copyfile(clips[2], videos / "training/dog/three.mp4")
    assert extracted("--retry-failed").code == 0
    assert not (package / "mine" / "bad_videos.csv").exists()
    assert all(check.ok for check in verify(package, workers=1))
    mended = [row["visual"] for row in avmit.load("mine", "train", data_dir=package)]
    assert extracted("--config", "whole").code == 0
    whole = [row["visual"] for row in avmit.load("whole", "train", data_dir=package)]
    assert mended == whole
    write_list(tmp_path / "list.csv", {"filename": COLUMNS["filename"]})
    ran = extracted("--retry-failed")
    assert ran.code == 1 and "mine was made with other videos (sha256 " in ran.err


def test_what_is_neither_or_both(extracted: Callable[..., Ran], tmp_path: Path) -> None:
    told = (
        "avmit: name what is to be embedded, by one of two: --annotations DIR for AVMIT's rated "
        "videos, --list FILE.csv for any others\n"
    )
    for what in ((), ("--list", "list.csv", "--annotations", tmp_path)):
        ran = extracted(what=what)
        assert (ran.code, ran.err) == (1, told)


def test_lists_and_rated_videos_keep_apart(
    extracted: Callable[..., Ran], clips: list[Path], videos: Path, tmp_path: Path, run: Run
) -> None:
    generate_release(tmp_path / "sources", videos_per_label=1, test_per_label=0, sets=[])
    lay_out(videos, tmp_path / "sources", clips)
    rated = ("--annotations", tmp_path / "sources")
    assert extracted().code == 0
    before = contents(tmp_path / "pkg" / "mine")
    apart = (
        "pkg would have configs of AVMIT's rated videos ({}) and of lists ({}), which do not go "
        "together: give each kind a package of its own, with another --out\n"
    )
    ran = extracted("--config", "rated", what=rated)
    assert (ran.code, ran.err) == (1, "avmit: " + apart.format("rated", "mine"))
    ran = extracted(what=rated)
    assert (
        ran.err
        == "avmit: pkg/mine was made of a list and would be replaced: choose another "
        + ("--config\n")
    )
    ran = run("convert", "sources", "--out", "pkg", "--config", "ratings")
    assert (ran.code, ran.err) == (1, "avmit: " + apart.format("ratings", "mine"))
    assert contents(tmp_path / "pkg" / "mine") == before
    assert sorted(path.name for path in (tmp_path / "pkg").iterdir()) == [
        *(".avmit.lock", "README.md", "mine"),
    ]
    convert(tmp_path / "sources", tmp_path / "avmit", ConvertOptions(configs=["ratings"]))
    ran = extracted("--out", "avmit")
    assert ran.code == 1 and "avmit would have configs of AVMIT's rated videos (ratings)" in ran.err


def test_the_first_of_the_rated_videos(
    extracted: Callable[..., Ran], clips: list[Path], videos: Path, tmp_path: Path
) -> None:
    generate_release(tmp_path / "sources", videos_per_label=2, test_per_label=1, sets=[])
    lay_out(videos, tmp_path / "sources", clips)
    ratings = ConvertOptions(configs=["ratings", "test_set", "raw_ratings"])
    convert(tmp_path / "sources", tmp_path / "pkg", ratings)
    rated = ("--annotations", tmp_path / "sources")
    ran = extracted("--limit", 5, what=rated)
    assert (ran.code, ran.err) == (0, "")
    assert read_manifest(tmp_path / "pkg" / "mine").videos == {"limit": 5}
    assert all(check.ok for check in verify(tmp_path / "pkg", workers=1))
    names = [row["filename"] for row in avmit.load("ratings", "train", data_dir=tmp_path / "pkg")]
    both = avmit.load("mine", data_dir=tmp_path / "pkg")
    assert {row["filename"] for split in both.values() for row in split} == {*names[:5]}
    ran = extracted("--retry-failed", what=rated)
    assert ran.code == 1 and "mine was made with other videos (limit 5, now none)" in ran.err
    assert extracted(what=rated).code == 0
    manifest = read_manifest(tmp_path / "pkg" / "mine")
    assert "videos" not in manifest.source and sum(map(manifest.rows, manifest.splits)) == 32


letters = st.sampled_from([*"abXY01 _-+.éü日'\"#,;|&%=~"])
part = st.text(letters, min_size=1, max_size=5).filter(lambda text: text not in (".", ".."))
paths = st.lists(part, min_size=1, max_size=3).map("/".join)


@st.composite
def odd_lists(draw: st.DrawFn) -> dict[str, list[str]]:
    names = draw(st.lists(paths, min_size=1, max_size=4, unique=True))
    # No path is the folder of another, as no file system has it either.
    plain = [unicodedata.normalize("NFC", name) for name in names]
    names = [n for n in names if not any(other.startswith(f"{n}/") for other in plain)]
    columns = {"filename": names}
    text = st.text(st.sampled_from([*"ab1.é|`*<{%\"',\n\t:#-"]), max_size=6)
    kinds = {
        "label": text.filter(bool),
        "x y": text,
        "n|": st.integers(-99, 99).map(str),
        "`{{ f }}`": st.floats(0, 1).map(str),
        "split": st.sampled_from(["train", "test", "yes", "null", "1", "_a"]),
    }
    for name in draw(st.lists(st.sampled_from([*kinds]), unique=True)):
        columns[name] = draw(st.lists(kinds[name], min_size=len(names), max_size=len(names)))
    return columns


@settings(max_examples=15)
@given(columns=odd_lists())
def test_odd_lists_come_back_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, clips: list[Path], columns: dict[str, list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "encoders.py").write_text(ENCODERS)
    videos = lay_out_files(folder / "videos", columns["filename"], clips[:1])
    file = write_list(folder / "list.csv", columns)
    sides: dict[Modality, EncoderOptions] = {
        "audio": EncoderOptions(None),
        "visual": EncoderOptions("mean"),
    }
    modules = (folder / "encoders.py",)
    options = Options("mine", sides, workers=1, listed=file, encoder_modules=modules)
    extract(videos, None, folder / "pkg", options)
    assert [c for c in verify(folder / "pkg", workers=1) if not c.ok] == []
    loaded = avmit.load("mine", data_dir=folder / "pkg")
    expected = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for split, rows in loaded.items():
        wanted = [row for row in expected if row.get("split", "train") == split]
        assert [row["filename"] for row in rows] == [row["filename"] for row in wanted]
        for name in {*columns} - {"split", "filename"}:
            feature = rows.features[name]
            for row, wish in zip(rows, wanted, strict=True):
                if name == "label":
                    assert feature.int2str(row[name]) == wish[name]
                elif feature.dtype == "string":
                    assert row[name] == wish[name]
                else:
                    assert row[name] == float(wish[name])
        assert all(np.shape(row["visual"]) == (2, 3) for row in rows)
    assert sum(map(len, loaded.values())) == len(expected)
