"""From videos to a config with ONNX models, compared with what these give by hand."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from support import onnx_models as models
from support.clips import make_clip
from support.commands import Run
from support.mit import going_on_anywhere_gives_the_same, lay_out, path_of, rows

from conversion.release.generate import generate_release
from extraction.encoders import registry
from extraction.encoders.settings import Modality, Settings
from extraction.media.forms import Sound, windows
from extraction.media.frames import read_frames
from extraction.media.sound import read_waveform


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(folder / "a.mp4"),
        make_clip(folder / "b.mp4", rate=25, seconds=2, amplitudes=None),
        make_clip(folder / "c.mp4", rate=10, seconds=0.4, sample_rate=16000),
    ]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, clips: list[Path]) -> tuple[Path, Path]:
    """The annotations of 16 videos, and the videos."""
    root = tmp_path_factory.mktemp("release")
    generate_release(root / "sources", videos_per_label=1, test_per_label=1, sets=[])
    return root / "sources", lay_out(root / "mit", root / "sources", clips)


def test_extract(run: Run, sources: tuple[Path, Path], tmp_path: Path) -> None:
    annotations, videos = sources
    models.colours(tmp_path / "colours.onnx", (2, "h", "w", 3), axes=(1, 2))
    models.sounds(tmp_path / "sounds.onnx", (3, 1, 8000))
    common = ["extract", "--videos", videos, "--annotations", annotations, "--out", "avmit"]
    common += ["--audio", "onnx:sounds.onnx", "--visual", "onnx:colours.onnx", "--config", "mine"]
    asked = ["--visual-normalize", "imagenet", "--frame-side", "48", "--frame-interval-ms", "300"]
    asked += ["--audio-normalize", "zscore", "--sample-rate", "8000", "--hop-s", "0.5"]
    ran = run(*common, *asked, "--workers", "2")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "audio: onnx:sounds.onnx, width 4, 8 kHz, 1 s each 0.5 s; mono, normalized zscore, "
        "float32, on cpu",
        "visual: onnx:colours.onnx, width 8, 48 x 48 RGB, a frame each 0.3 s; RGB, normalized "
        "imagenet, NHWC float32, on cpu",
        "mine: test 16 rows",
        'avmit: load it with load_dataset("avmit", "mine")',
    ]
    loaded = datasets.load_dataset(str(tmp_path / "avmit"), "mine", split="test")
    by_name = {row["filename"]: row for row in rows(annotations)}
    for row in loaded.with_format("numpy"):
        video = path_of(videos, by_name[str(row["filename"])])
        frames = (read_frames(video, 300, 48) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        close(row["visual"], frames.mean((1, 2)) @ models.weights(3, 8))
        sound = windows(read_waveform(video, 8000)[0], Sound(8000, 1, 0.5)).astype(np.float64)
        mean, variance = sound.mean(1, keepdims=True), sound.var(1, keepdims=True)
        close(row["audio"], models.heard((sound - mean) / np.sqrt(variance + 1e-7)))
    manifest = json.loads((tmp_path / "avmit" / "mine" / "manifest.json").read_bytes())
    assert manifest["source"]["libraries"]["onnxruntime"]
    assert manifest["source"]["encoders"]["audio"]["sample_rate"] == 8000
    again = run(*common, *asked, "--workers", "1")
    assert again.out.splitlines()[2] == "mine: test 16 rows (unchanged)"
    # Another normalization is another config.
    ran = run(*common, *asked, "--visual-normalize", "clip")
    assert ran.out.splitlines()[2] == "mine: test 16 rows"


def test_what_one_side_takes_is_not_refused_for_the_other(
    run: Run, sources: tuple[Path, Path], tmp_path: Path
) -> None:
    annotations, videos = sources
    models.colours(tmp_path / "colours.onnx")
    common = ["extract", "--videos", videos, "--annotations", annotations, "--config", "mine"]
    ran = run(*common, "--audio", "none", "--visual", "onnx:colours.onnx", "--sample-rate", "8000")
    assert ran.err == "avmit: --sample-rate is not for onnx:colours.onnx: leave it away\n"
    ran = run(*common, "--audio", "none", "--visual", "onnx:colours.onnx", "--audio-normalize", "x")
    assert ran.err == "avmit: --audio-normalize is not for onnx:colours.onnx: leave it away\n"
    assert not (tmp_path / "avmit").exists()


def test_going_on_after_any_video_gives_the_same(tmp_path: Path) -> None:
    clips = [
        make_clip(tmp_path / "a.mp4", rate=10, seconds=1.5, size=(32, 32)),
        make_clip(tmp_path / "b.mp4", rate=5, seconds=1, size=(32, 32), sample_rate=16000),
    ]
    sides: dict[Modality, Any] = {
        "audio": registry.find(f"onnx:{models.whole_sound(tmp_path / 's.onnx')}", None).open(),
        "visual": registry.find(
            f"onnx:{models.colours(tmp_path / 'c.onnx', (5, 3, 24, 24))}",
            None,
            Settings(interval_ms=400),
        ).open(),
    }
    counts = going_on_anywhere_gives_the_same(clips, sides, tmp_path)
    assert {one["visual"] for one in counts if one} == {3, 4}


def close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
