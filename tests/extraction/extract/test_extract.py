"""Extraction: the config it makes, bad videos, retries, and runs that are cut off."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from support import tensorflow_models as networks
from support.blocked import TENSORFLOW, run_without
from support.clips import make_clip
from support.commands import Run
from support.damage import tamper
from support.mit import going_on_anywhere_gives_the_same, lay_out, path_of, rows
from support.places import ROOT

from avmit import AvmitError
from conversion.convert.build import Options as ConvertOptions
from conversion.convert.build import convert
from conversion.package.manifest import read_manifest
from conversion.release.generate import generate_release
from conversion.release.videos import ALIASES, Videos
from extraction.encoders import registry
from extraction.encoders.base import Side
from extraction.encoders.settings import Modality, Settings
from extraction.encoders.tensorflow.published import EFFICIENTNET_B0, YAMNET
from extraction.extract.build import Extracted, extract
from extraction.extract.options import EncoderOptions, Options
from extraction.media.frames import read_frames
from extraction.media.sound import read_waveform
from extraction.media.video_file import BadVideo
from extraction.pipeline.embed import embed

TIMESTEPS = ("audio", "visual")


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "sources"
    generate_release(folder, videos_per_label=3, test_per_label=1, sets=[])
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(folder / "a.mp4", rate=30),
        make_clip(folder / "b.mp4", rate=25, amplitudes=(0.4, 0.2), sample_rate=48000),
        make_clip(folder / "c.mp4", rate=10, amplitudes=None),
        make_clip(folder / "d.mp4", rate=60, seconds=2.5, sample_rate=22050),
        make_clip(folder / "e.mp4", rate=15, amplitudes=(0.1,) * 6, sample_rate=48000, b_frames=2),
    ]


@pytest.fixture
def videos(tmp_path: Path, annotations: Path, clips: list[Path]) -> Path:
    return lay_out(tmp_path / "mit", annotations, clips)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    networks.tiny_model().save_weights(folder / "tiny.weights.h5")
    return {"audio": networks.save_yamnet(folder / "yamnet"), "visual": folder / "tiny.weights.h5"}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "tiny", networks.TINY)


Extract = Callable[..., Extracted]


@pytest.fixture
def run_extract(
    tiny: None, videos: Path, annotations: Path, weights: dict[str, Path], tmp_path: Path
) -> Extract:
    def run(
        out: Path | None = None,
        audio: str | None = "yamnet",
        visual: str | None = "tiny",
        audio_weights: Path | None = weights["audio"],
        visual_weights: Path | None = weights["visual"],
        **changes: Any,
    ) -> Extracted:
        encoders: dict[Modality, EncoderOptions] = {
            "audio": EncoderOptions(audio, Settings(weights=audio_weights)),
            "visual": EncoderOptions(visual, Settings(weights=visual_weights)),
        }
        options = Options("mine", encoders, max_shard_bytes=600_000)
        return extract(videos, annotations, out or tmp_path / "avmit", replace(options, **changes))

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_command_makes_a_config_like_the_published_ones(
    clips: list[Path], tmp_path: Path, run: Run, weights: dict[str, Path]
) -> None:
    annotations = tmp_path / "sources"
    generate_release(annotations, videos_per_label=2, test_per_label=1, sets=[])
    videos = lay_out(tmp_path / "mit", annotations, clips)
    out = tmp_path / "avmit"
    convert(annotations, out, ConvertOptions(configs=["ratings", "test_set", "raw_ratings"]))
    file = networks.save_as_published(networks.efficientnet(), tmp_path / "effnet.h5")
    sources = ["--videos", videos, "--annotations", annotations, "--out", out]
    encoders = ["--audio", "yamnet", "--visual", "efficientnet_b0"]
    local = ["--audio-weights", weights["audio"], "--visual-weights", file]
    ran = run("extract", *sources, *encoders, *local, "--config", "mine", "--workers", 2)
    assert ran.code == 0
    told = ran.out.splitlines()
    for line, name in zip(told, ("yamnet", "efficientnet_b0"), strict=False):
        assert line.startswith(f"{name}: by ONNX Runtime on cpu, exported now; at most ")
    assert told[2] == "mine: train 16 rows, test 16 rows"
    assert ran.err == ""

    loaded = datasets.load_dataset(str(out), "mine", cache_dir=str(tmp_path / "cache"))
    by_name = {row["filename"]: row for split in loaded.values() for row in split}
    assert len(by_name) == 32
    visual, audio = EFFICIENTNET_B0.load(file), YAMNET.load(weights["audio"])
    chosen = [rows(annotations)[index] for index in (0, 1, 2, 3, 4, 31)]
    expected = visual.encode(np.concatenate([read_frames(path_of(videos, r)) for r in chosen]))
    close(np.concatenate([by_name[row["filename"]]["visual"] for row in chosen]), expected)
    for index, row in enumerate(chosen):
        found = by_name[row["filename"]]
        assert found["has_audio"] == (index != 2)
        assert found["r3"] == int(row["r3"])
        path = path_of(videos, row)
        close(np.array(found["audio"]), audio.encode(read_waveform(path)[0]))

    manifest = read_manifest(out / "mine")
    assert manifest.dims == {"audio": 1024, "visual": 1280}
    assert manifest.source["kind"] == "extraction"
    assert manifest.source["encoders"]["visual"]["name"] == "efficientnet_b0"
    assert manifest.source["encoders"]["visual"]["weights_sha256"] == visual.weights_sha256
    assert manifest.source["encoders"]["audio"]["weights_sha256"] == audio.weights_sha256
    assert {"onnxruntime", "cv2", "av", "numpy"} <= set(manifest.source["libraries"])
    assert not {"resampy", "tensorflow"} & set(manifest.source["libraries"])
    method = "kaiser_best by polyphase matrices"
    assert manifest.source["encoders"]["audio"]["resampling"] == method
    assert "resampling" not in manifest.source["encoders"]["visual"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| `mine` | yamnet + efficientnet_b0 | (4 to 5, 1024) |" in card
    assert "`has_audio`" in card
    assert "mine is from the videos, by yamnet and efficientnet_b0" in run("info", out).out

    command = ["-m", "avmit_cli", "extract", *sources, *encoders, *local, "--config", "again"]
    again = run_without(TENSORFLOW, *command, cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    for index, name in enumerate(("yamnet", "efficientnet_b0")):
        line = again.stdout.splitlines()[index]
        assert line.startswith(f"{name}: by ONNX Runtime on cpu, exported before; at most ")
    for path in (out / "mine").glob("*.arrow"):
        assert path.read_bytes() == (out / "again" / path.name).read_bytes()


def test_shards_do_not_depend_on_workers_nor_on_when_they_are_made(
    run_extract: Extract, tmp_path: Path
) -> None:
    run_extract(tmp_path / "one", workers=1)
    done = run_extract(tmp_path / "many", workers=5)
    assert contents(tmp_path / "one" / "mine") == contents(tmp_path / "many" / "mine")
    assert len(done.manifest.splits["train"]) > 1
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "many" / "mine").iterdir()}
    again = run_extract(tmp_path / "many")
    assert not again.changed
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "many" / "mine").iterdir()}


@pytest.mark.parametrize("side", TIMESTEPS)
def test_none_leaves_a_column_out(run_extract: Extract, side: str, tmp_path: Path) -> None:
    left = {side: None, f"{side}_weights": None}
    done = run_extract(**left)
    other = TIMESTEPS[side == "audio"]
    assert list(done.manifest.dims) == [other]
    assert list(done.manifest.source["encoders"]) == [other]
    loaded = datasets.load_dataset(str(tmp_path / "avmit"), "mine", cache_dir=str(tmp_path / "c"))
    assert side not in loaded["train"].column_names
    assert sorted(set(loaded["train"]["has_audio"])) == [False, True]


def test_both_none(run_extract: Extract) -> None:
    with pytest.raises(AvmitError, match="both none"):
        run_extract(audio=None, visual=None, audio_weights=None, visual_weights=None)


NAMELESS = "'{}' cannot name an embedding config: use up to 100 letters"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"--config": "not a name!"}, NAMELESS.format("not a name!")),
        ({"--config": "ratings"}, NAMELESS.format("ratings")),
        ({"--config": "../x"}, NAMELESS.format("../x")),
        ({"--videos": "nowhere"}, "no folder nowhere: --videos takes the one that holds training"),
        ({"--annotations": "nowhere"}, "no raw_video_ratings.csv in nowhere: put the release"),
        ({"--audio-weights": "nowhere"}, "--audio-weights nowhere: there is nothing there"),
        ({"--visual-weights": "x"}, "--visual-weights without an encoder: name one with --visual"),
        ({"--audio": "none"}, "--audio and --visual are both none: name an encoder for one of"),
        ({"--max-shard-size": "big"}, "'big' is not a size"),
    ],
)
def test_what_is_wrong_is_told_before_an_encoder_is_fetched(
    change: dict[str, str],
    expected: str,
    videos: Path,
    annotations: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[str] = []

    def fetch(handle: str) -> str:
        fetched.append(handle)
        raise OSError("no network")

    monkeypatch.setattr("kagglehub.model_download", fetch)
    options = {"--videos": videos, "--annotations": annotations, "--config": "mine"}
    options |= {"--audio": "kaggle:someone/sounds/tensorFlow2/small", "--visual": "none"}
    ran = run("extract", *(part for option in (options | change).items() for part in option))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {expected}")
    assert ran.err.count("\n") == 1
    assert fetched == []


def test_bad_videos_stop_the_run_or_are_listed(
    run_extract: Extract, videos: Path, annotations: Path, tmp_path: Path
) -> None:
    gone, broken, kept = rows(annotations)[:3]
    path_of(videos, gone).unlink()
    with pytest.raises(AvmitError, match=rf"{gone['filename']} is missing.*--on-bad-video skip"):
        run_extract()
    whole = path_of(videos, broken).read_bytes()
    path_of(videos, broken).write_bytes(b"nonsense")
    done = run_extract(on_bad_video="skip")
    assert dict(done.bad).keys() == {gone["filename"], broken["filename"]}
    listed = (tmp_path / "avmit" / "mine" / "bad_videos.csv").read_text(encoding="utf-8")
    assert f"{gone['tfrecord_filename']},is missing,{gone['filename']}\n" in listed
    assert f"{broken['tfrecord_filename']},is not a video that FFmpeg can open" in listed
    assert sum(done.manifest.rows(split) for split in done.manifest.splits) == 46
    with pytest.raises(AvmitError, match=rf"{broken['filename']} is not a video"):
        shutil.copyfile(path_of(videos, kept), path_of(videos, gone))
        run_extract()
    path_of(videos, broken).write_bytes(whole)


def test_names_that_a_terminal_would_obey_or_no_disk_takes(
    run_extract: Extract, annotations: Path, videos: Path, tmp_path: Path, run: Run
) -> None:
    names = ["a\n\x1b[2J", "b" * 300, 'c,"d']
    changed = shutil.copytree(annotations, tmp_path / "sources")
    for table in changed.glob("*.csv"):
        content = table.read_text(encoding="utf-8")
        for row, name in zip(rows(annotations), names, strict=False):
            other = row["filename"].rpartition("/")[0] + f"/{name}.mp4"
            content = content.replace(row["filename"], '"' + other.replace('"', '""') + '"')
        table.write_text(content, encoding="utf-8", newline="")
    (tmp_path / "mine.py").write_text(COLOURS)
    paths = ["--videos", videos, "--annotations", changed, "--config", "mine"]
    encoders = ["--encoder-module", "mine.py", "--visual", "colours", "--audio", "none"]
    ran = run("extract", *paths, *encoders)
    assert ran.code == 1
    assert r"/a\n\x1b[2J.mp4 is missing; " in ran.err
    assert ran.err.count("\n") == 1
    ran = run("extract", *paths, *encoders, "--on-bad-video", "skip")
    assert (ran.code, ran.err) == (0, "")
    assert r"3 bad videos left out (" in ran.out
    assert r"/a\n\x1b[2J.mp4 is missing; " in ran.out
    with (tmp_path / "avmit/mine/bad_videos.csv").open(encoding="utf-8", newline="") as file:
        listed = [row["filename"].rpartition("/")[2] for row in csv.DictReader(file)]
    assert sorted(listed) == sorted(f"{name}.mp4" for name in names)


COLOURS = """
from extraction.encoders.custom import Frames, encoder

@encoder(name="colours", width=3, input=Frames(side=16))
def colours(frames):
    return frames.mean((1, 2)) / 255
"""


def test_a_folder_of_videos_that_is_not_utf8(videos: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    videos.rename(folder)
    with pytest.raises(AvmitError, match=r"is no path in UTF-8, as decoders need: rename the"):
        Videos(folder)


def test_a_video_too_short_for_the_audio_encoder(tmp_path: Path, weights: dict[str, Path]) -> None:
    from extraction.encoders.tensorflow.published import VGGISH

    clip = make_clip(tmp_path / "short.mp4", seconds=0.5)
    network = VGGISH.load(networks.save_vggish(tmp_path / "vggish"))
    (outcome,) = embed([clip], {"audio": Side(VGGISH, network)}, 1)
    assert isinstance(outcome, BadVideo)
    assert str(outcome).startswith("is too short: vggish gives nothing for 0.5")


def test_retry_failed_adds_what_now_works(
    run_extract: Extract, videos: Path, annotations: Path, tmp_path: Path
) -> None:
    whole = run_extract(tmp_path / "whole")
    gone, broken, still = (path_of(videos, row) for row in rows(annotations)[:3])
    for path in (gone, broken, still):
        path.rename(path.with_suffix(".away"))
    broken.write_bytes(b"nonsense")
    run_extract(on_bad_video="skip")
    for path in (gone, broken):
        path.with_suffix(".away").replace(path)
    untouched = path_of(videos, rows(annotations)[3])
    content = untouched.read_bytes()
    untouched.write_bytes(b"is not looked at")
    done = run_extract(retry_failed=True)
    assert done.mended == 2
    assert [name for name, _ in done.bad] == [rows(annotations)[2]["filename"]]
    untouched.write_bytes(content)
    expected, found = (table(tmp_path / name) for name in ("whole", "avmit"))
    assert found.keys() == expected.keys() - {rows(annotations)[2]["tfrecord_filename"]}
    for name, row in found.items():
        close(row["visual"], expected[name]["visual"])
        np.testing.assert_array_equal(row["audio"], expected[name]["audio"])
    assert whole.bad == []


def test_retry_failed_refuses_another_making(run_extract: Extract, tmp_path: Path) -> None:
    with pytest.raises(AvmitError, match="to retry: run `avmit extract` without --retry-failed"):
        run_extract(retry_failed=True)
    run_extract()
    other = networks.save_yamnet(tmp_path / "other", seed=3)
    with pytest.raises(AvmitError, match=r"made with other encoders \(audio: weights_sha256"):
        run_extract(retry_failed=True, audio_weights=other)


def test_what_was_resampled_otherwise_is_not_mixed_in(
    run_extract: Extract, videos: Path, annotations: Path, tmp_path: Path
) -> None:
    """Another version made a package, and in another place was cut off."""
    from extraction.extract import checkpoint as spill

    last = path_of(videos, rows(annotations)[40])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("extraction.media.resample.METHOD", "another")
        run_extract()
        patch.setattr(spill, "EVERY_SECONDS", 0.0)
        last.rename(last.with_suffix(".away"))
        last.write_bytes(b"no")
        with pytest.raises(AvmitError, match="is not a video"):
            run_extract(tmp_path / "other")
        last.with_suffix(".away").replace(last)
    assert list((tmp_path / "other").rglob("*.spill"))
    with pytest.raises(AvmitError) as raised:
        run_extract(retry_failed=True)
    assert (
        "made with other encoders (audio: resampling another, now kaiser_best by polyphase "
        "matrices): retry with the same, or extract all again without --retry-failed"
    ) in str(raised.value)
    for out in (tmp_path / "avmit", tmp_path / "other"):
        decoded: list[object] = []

        def counted(path: Path, rate: int, decoded: list[object] = decoded) -> Any:
            decoded.append(path)
            return read_waveform(path, rate)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("extraction.media.forms.read_waveform", counted)
            assert run_extract(out).kept == 0
        assert len(decoded) == 48


def test_retry_failed_refuses_a_shard_of_other_columns(
    run_extract: Extract, videos: Path, annotations: Path, tmp_path: Path
) -> None:
    path = path_of(videos, rows(annotations)[0])
    path.rename(path.with_suffix(".away"))
    run_extract(on_bad_video="skip")
    path.with_suffix(".away").replace(path)
    for shards in read_manifest(tmp_path / "avmit" / "mine").splits.values():
        for one in shards:
            tamper(tmp_path / "avmit", "mine", one.file, lambda t: t.drop_columns(["has_audio"]))
    with pytest.raises(AvmitError, match="has other columns than a shard of this config: extract"):
        run_extract(retry_failed=True)


def test_published_embeddings_are_not_replaced(
    package: Path, run_extract: Extract, tmp_path: Path
) -> None:
    out = shutil.copytree(package, tmp_path / "published")
    with pytest.raises(AvmitError, match=r"not made by `avmit extract`.*another --config"):
        run_extract(out, config="yamnet_effnet")


def test_going_on_anywhere_gives_the_same(
    tiny: None, clips: list[Path], weights: dict[str, Path], tmp_path: Path
) -> None:
    sides: dict[Modality, Side] = {
        "audio": Side(YAMNET, YAMNET.load(weights["audio"])),
        "visual": Side(networks.TINY, networks.TINY.load(weights["visual"])),
    }
    counts = going_on_anywhere_gives_the_same(clips, sides, tmp_path)
    assert sum(one.get("visual", 0) for one in counts) > 3 * 32


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from support import tensorflow_models as networks
from extraction.encoders import registry
from extraction.pipeline import embed as pipeline
from extraction.extract import checkpoint as spill
from extraction.extract.build import extract
from extraction.encoders.settings import Settings
from extraction.extract.options import EncoderOptions, Options
spill.EVERY_SECONDS = 0.0
registry.BUILT_IN["tiny"] = networks.TINY
decode = pipeline._decode
def slowly(*arguments):
    time.sleep({delay})
    return decode(*arguments)
pipeline._decode = slowly
videos, annotations, out, audio, visual = map(Path, sys.argv[1:])
encoders = {{
    "audio": EncoderOptions("yamnet", Settings(weights=audio)),
    "visual": EncoderOptions("tiny", Settings(weights=visual)),
}}
extract(videos, annotations, out, Options("mine", encoders, workers=1))
"""


def test_killed_in_the_middle_of_a_shard_it_goes_on(
    run_extract: Extract,
    videos: Path,
    annotations: Path,
    weights: dict[str, Path],
    tmp_path: Path,
) -> None:
    run_extract(tmp_path / "undisturbed", max_shard_bytes=256_000_000)
    out = tmp_path / "avmit"
    script = SCRIPT.format(tests=str(ROOT / "tests"), delay=0.1)
    paths = [videos, annotations, out, weights["audio"], weights["visual"]]
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, paths)])
    parts = ".avmit-work/mine.*/.train-00000-of-00001.arrow.*.spill"
    deadline = time.monotonic() + 120
    while len(list(out.glob(parts))) < 3 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list(out.glob(parts)))
    assert kept >= 3
    assert not (out / "mine").exists()

    decoded: list[object] = []
    count = read_waveform
    with pytest.MonkeyPatch.context() as patch:

        def counted(path: Path, rate: int) -> Any:
            decoded.append(path)
            return count(path, rate)

        patch.setattr("extraction.media.forms.read_waveform", counted)
        run_extract(out, max_shard_bytes=256_000_000)
    assert contents(out / "mine") == contents(tmp_path / "undisturbed" / "mine")
    assert len(decoded) <= 48 - kept
    assert not (out / ".avmit-work").exists() or not list((out / ".avmit-work").rglob("*.spill"))


def test_a_damaged_spill_is_done_again(
    run_extract: Extract, videos: Path, annotations: Path, tmp_path: Path
) -> None:
    from extraction.extract import checkpoint as spill

    run_extract(tmp_path / "undisturbed")
    row = rows(annotations)[40]
    content = path_of(videos, row).read_bytes()
    facts = path_of(videos, row).stat()
    path_of(videos, row).write_bytes(b"no")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "EVERY_SECONDS", 0.0)
        with pytest.raises(AvmitError):
            run_extract()
    path_of(videos, row).write_bytes(content)
    os.utime(path_of(videos, row), ns=(facts.st_atime_ns, facts.st_mtime_ns))
    for part in (tmp_path / "avmit").rglob("*.spill"):
        part.write_bytes(part.read_bytes()[:100])
    run_extract()
    assert contents(tmp_path / "avmit" / "mine") == contents(tmp_path / "undisturbed" / "mine")


@pytest.mark.parametrize(("alias", "ending"), ALIASES.items())
def test_short_names_of_windows(tmp_path: Path, alias: str, ending: str) -> None:
    long = f"{alias[:6].lower()}-with-a-long-name-{ending}.mp4"
    folder = tmp_path / "train" / "class"
    folder.mkdir(parents=True)
    for name in ("other.mp4", f"{alias[:6].lower()}-{ending}0.mp4", f"{alias}.mp4"):
        (folder / name).touch()
    found = Videos(tmp_path)
    assert found.find("training", f"class/{long}") == folder / f"{alias}.mp4"
    (folder / f"{alias}.mp4").rename(folder / long)
    found = Videos(tmp_path)
    assert found.find("training", f"class/{alias}.mp4") == folder / long
    assert found.find("training", f"class/{long}") == folder / long
    assert found.find("training", f"class/{alias[:6]}~9.mp4") is None


def test_folders_and_names_as_people_have_them(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "café/naïve clip.mp4")
    for name in ("train/a/one two.mp4", f"val/{decomposed}", "training/b/x.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = Videos(tmp_path)
    assert found.find("training", "a/one two.mp4") == tmp_path / "train/a/one two.mp4"
    assert found.find("training", "b/x.mp4") == tmp_path / "training/b/x.mp4"
    assert found.find("validation", "café/naïve clip.mp4") == tmp_path / "val" / decomposed
    assert found.find("validation", "b/x.mp4") is None


def test_not_a_copy_of_moments_in_time(tmp_path: Path) -> None:
    with pytest.raises(AvmitError, match="neither training nor validation in"):
        Videos(tmp_path)
    with pytest.raises(AvmitError, match="no folder"):
        Videos(tmp_path / "none")


def test_the_manifest_is_json_that_says_what_was_done(run_extract: Extract, tmp_path: Path) -> None:
    run_extract()
    source = json.loads((tmp_path / "avmit" / "mine" / "manifest.json").read_bytes())["source"]
    assert source["encoders"]["audio"]["sample_rate"] == 16000
    assert source["encoders"]["visual"]["frame_interval_ms"] == 480
    assert source["encoders"]["visual"]["weights"] == "a local file"


def table(out: Path) -> dict[str, dict[str, Any]]:
    import avmit

    loaded = avmit.load("mine", data_dir=out).with_format("numpy")
    return {row["tfrecord_filename"]: row for split in loaded.values() for row in split}


def close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
