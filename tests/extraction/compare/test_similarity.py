"""How alike two configs find the videos, of whatever widths: through the command and Python."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Run
from support.releases import edit_record, shard_rows

from conversion.convert.build import Options, convert
from conversion.package.writer import Encoding
from conversion.tfrecord.record import Record
from extraction.compare import similarity as similarity_module
from extraction.compare.cka import alignment
from extraction.compare.comparison import compare
from extraction.compare.rsa import agreement
from extraction.compare.similarity import similarity


def means(package: Path, config: str, column: str) -> dict[str, Any]:
    """Return each video's mean over its timesteps, read without the code under test."""
    rows = [row for split in ("train", "test") for row in shard_rows(package, config, split)]
    return {
        row["tfrecord_filename"]: np.asarray(row[column], np.float32).mean(axis=0) for row in rows
    }


@pytest.fixture
def demo(after_demo: Path) -> Path:
    return after_demo / "demo" / "avmit"


def test_configs_of_other_widths(demo: Path) -> None:
    package = demo
    found = compare(package, "vggish_vgg16", "yamnet_effnet")
    assert (found.columns, found.worst) == ({}, [])
    assert found.skipped == {
        "audio": "128 and 1024 values wide",
        "visual": "512 and 1280 values wide",
    }
    for column, widths in {"audio": (128, 1024), "visual": (512, 1280)}.items():
        one = found.similarities[column]
        assert (one.widths, one.videos, one.left_out) == (widths, 192, 0)
        a, b = means(package, "vggish_vgg16", column), means(package, "yamnet_effnet", column)
        assert sorted(a) == sorted(b)
        vectors: list[Any] = [np.stack([side[name] for name in sorted(a)]) for side in (a, b)]
        aligned = alignment(vectors[0], vectors[1], 0)
        assert one.cka.value == pytest.approx(aligned.debiased.value, abs=1e-6)
        assert one.cka_biased.value == pytest.approx(aligned.biased.value, rel=1e-6)
        assert one.rsa.value == pytest.approx(agreement(vectors[0], vectors[1], 0).value, abs=1e-6)
        assert (one.neighbours, one.queries, one.rsa_videos) == (10, 192, 192)
        assert one.overlap_by_chance == pytest.approx(10 / 191)
        assert (one.classes, one.scored) == (16, 192)


@pytest.mark.parametrize("encoding", [Encoding("arrow", "lz4"), Encoding("parquet", "none")])
def test_another_package_with_other_videos(
    package: Path, sharded_release: Path, tmp_path: Path, encoding: Encoding
) -> None:
    release = Path(shutil.copytree(sharded_release, tmp_path / "sources"))
    names = sorted((release / "VGGish_VGG16").glob("*/*.tfrecord"))
    for path in names[:5]:
        path.unlink()
    convert(release, tmp_path / "other", Options(workers=1, encoding=encoding))
    found = compare(package, "yamnet_effnet", str(tmp_path / "other" / "vggish_vgg16"))
    assert found.similarities["audio"].widths == (1024, 128)
    common = {*means(package, "yamnet_effnet", "audio")} & {
        *means(tmp_path / "other", "vggish_vgg16", "audio")
    }
    assert found.similarities["audio"].videos == len(common)
    assert (found.only_a, found.only_b) == (48 - len(common), 43 - len(common))


def made(rows: int = 120) -> tuple[Any, Any, Any]:
    """Return two sets of vectors: classes lie apart in the first, and hardly in the other."""
    generator = np.random.default_rng(0)
    labels = np.arange(rows) % 4
    places = generator.standard_normal((4, 12))
    a = 3 * places[labels] + generator.standard_normal((rows, 12))
    b = a[:, :7] + 9 * generator.standard_normal((rows, 7))
    return a.astype(np.float32), b.astype(np.float32), labels


def test_what_is_told_of_two_sets() -> None:
    a, b, labels = made()
    found = similarity(a, b, labels)
    assert found.accuracy_a.value == 1
    assert found.accuracy_b.value is not None and found.accuracy_difference.value is not None
    assert 0.25 < found.accuracy_b.value < 0.8
    assert found.accuracy_difference.value == pytest.approx(found.accuracy_b.value - 1)
    for one in (found.cka, found.rsa, found.overlap, found.accuracy_b, found.accuracy_difference):
        assert one.low is not None and one.value is not None and one.high is not None
        assert one.low < one.value < one.high
    assert similarity(a, b, labels) == found != similarity(a, b, labels, seed=1)
    same = similarity(a, a, labels)
    for one in (same.cka, same.cka_biased, same.rsa, same.overlap):
        assert one.value == pytest.approx(1)


def test_an_interval_of_an_accuracy_is_that_of_the_binomial() -> None:
    a, b, labels = made()
    found = similarity(a, b, labels).accuracy_b
    assert found.value is not None and found.low is not None and found.high is not None
    deviation = np.sqrt(found.value * (1 - found.value) / 120)
    assert found.low == pytest.approx(found.value - 1.96 * deviation, abs=0.02)
    assert found.high == pytest.approx(found.value + 1.96 * deviation, abs=0.02)


def test_rows_that_cannot_be_compared_are_left_out_and_counted() -> None:
    a, b, labels = made()
    wanted = similarity(a[3:], b[3:], labels[3:])
    a[0, 4], b[1, 0], a[2] = np.nan, np.inf, np.nan
    found = similarity(a, b, labels)
    assert (found.videos, found.left_out) == (117, 3)
    assert found.cka.value == pytest.approx(wanted.cka.value)
    assert found.overlap == wanted.overlap
    a[5] = 2.5  # varies in nothing, and so has no correlation
    found = similarity(a, b, labels)
    assert (found.videos, found.rsa_videos) == (117, 116)


def test_of_many_rows_a_sample_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, labels = made(300)
    every = similarity(a, b, labels)
    monkeypatch.setattr(similarity_module, "MOST", 90)
    some = similarity(a, b, labels)
    assert (some.rsa_videos, some.queries, some.videos) == (90, 90, 300)
    assert some.cka == every.cka
    assert every.rsa.value is not None and some.rsa.value is not None
    assert some.rsa.value == pytest.approx(every.rsa.value, abs=0.1)
    assert some.rsa.value != similarity(a, b, labels, seed=3).rsa.value


@pytest.mark.parametrize("rows", range(1, 5))
def test_few_rows(rows: int) -> None:
    a, b, labels = made(rows)
    found = similarity(a, b, labels)
    assert found.videos == rows
    assert found.neighbours == rows - 1
    assert (found.classes, found.accuracy_a.value) == (0, None)
    json.dumps(found.__dict__, default=lambda one: one.__dict__, allow_nan=False)
    assert (found.cka.value is None) == (rows < 4)


def test_the_command(demo: Path, run: Run) -> None:
    ran = run("compare", demo, "vggish_vgg16", "yamnet_effnet")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["widths", "128,", "1024", "512,", "1280"] in lines
    assert "worst" not in ran.out
    found = compare(demo, "vggish_vgg16", "yamnet_effnet").similarities
    cka = next(line for line in lines if line[:3] == ["linear", "CKA,", "debiased"])
    estimates = [found[column].cka for column in ("audio", "visual")]
    assert cka[3:] == [
        text
        for one in estimates
        for text in (f"{one.value:z.3f}", f"[{one.low:z.3f},", f"{one.high:z.3f}]")
    ]
    assert ran.out.splitlines()[-3:] == [
        "values of audio are not compared: 128 and 1024 values wide",
        "values of visual are not compared: 512 and 1280 values wide",
        "videos in vggish_vgg16 alone: 0; in yamnet_effnet alone: 0",
    ]


def test_as_json(sharded_release: Path, run: Run, tmp_path: Path) -> None:
    release = Path(shutil.copytree(sharded_release, tmp_path / "sources"))
    shutil.copytree(release / "VGGish_VGG16", release / "B")
    path = next((release / "B").glob("*/*.tfrecord"))

    def change(record: Record) -> Record:
        audio = record.audio.copy()
        audio[:2, 0] = 3e38  # their sum is more than float32 holds
        return Record(record.filename, record.label, audio, record.visual)

    edit_record(path, change)
    sets = {"a": release / "VGGish_VGG16", "b": release / "B"}
    convert(release, tmp_path / "avmit", Options(tfrecords=sets, workers=1))
    ran = run("compare", "avmit", "a", "b", "--json", "--seed", "3")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert list(document) == [
        *("a", "b", "only_a", "only_b", "skipped", "differences", "similarities", "worst"),
    ]
    assert document["differences"]["audio"]["worst_absolute"] == pytest.approx(3e38)
    assert document["differences"]["visual"]["mean_relative"] == 0
    audio = document["similarities"]["audio"]
    assert (audio["videos"], audio["left_out"]) == (47, 1)
    assert audio["cka"]["value"] == pytest.approx(1)
    assert document["worst"][0]["column"] == "audio"
    told = run("compare", "avmit", "a", "b").out
    assert "audio: 1 videos are left out, without timesteps or not finite" in told
