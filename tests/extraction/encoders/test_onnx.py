"""`onnx:` encoders against what their models give by hand."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import onnx_models as models
from support.commands import Run

from extraction.encoders import registry
from extraction.encoders.base import Side, matrices
from extraction.encoders.contract import check_side
from extraction.encoders.describe import describe, describe_line
from extraction.encoders.onnx.session import open_session, provider_of, providers_for
from extraction.encoders.settings import Settings
from extraction.media.forms import Clips, Frames, Sound, windows

FRAMES = np.random.default_rng(0).integers(0, 256, (13, 32, 32, 3), dtype=np.uint8)
SOUND = np.random.default_rng(1).uniform(-0.5, 0.5, 48000).astype(np.float32)


def opened(path: Path, modality: Any = None, **asked: Any) -> Side:
    return registry.find(f"onnx:{path}", modality, Settings(**asked)).open()


def embed(side: Side, taken: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    found = matrices(side.network.encode(side.network.prepare(taken)))
    return np.concatenate(found)


def close(found: npt.NDArray[Any], expected: npt.NDArray[Any], part: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= part * np.abs(expected).max()


IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALIZED: dict[str | None, Any] = {
    None: lambda x: x / 255,
    "0:255": lambda x: x,
    "-1:1": lambda x: x / 127.5 - 1,
    "imagenet": lambda x: (x / 255 - IMAGENET[0]) / IMAGENET[1],
    "0.5/0.25": lambda x: (x / 255 - 0.5) / 0.25,
    "0.1,0.2,0.3/1,2,.5": lambda x: (x / 255 - (0.1, 0.2, 0.3)) / (1, 2, 0.5),
    "caffe": lambda x: x[..., ::-1] - (103.939, 116.779, 123.68),
}
"""What `--visual-normalize` makes of pixels from 0 to 255."""


@settings(max_examples=60)
@given(
    batch=st.sampled_from(["n", None, 1, 2, 5]),
    side=st.integers(1, 40),
    fixed=st.booleans(),
    layout=st.sampled_from(["nchw", "nhwc"]),
    dtype=st.sampled_from(["float32", "float16", "float64", "uint8"]),
    normalize=st.sampled_from([*NORMALIZED]),
    count=st.integers(1, 20),
)
def test_frames_of_every_shape_layout_and_type(
    tmp_path_factory: pytest.TempPathFactory,
    batch: Any,
    side: int,
    fixed: bool,
    layout: str,
    dtype: str,
    normalize: str | None,
    count: int,
) -> None:
    if dtype == "uint8" and normalize not in (None, "0:255"):
        normalize = None
    sizes = (side, side) if fixed else ("height", None)
    shape = (batch, 3, *sizes) if layout == "nchw" else (batch, *sizes, 3)
    axes = (2, 3) if layout == "nchw" else (1, 2)
    path = tmp_path_factory.mktemp("m") / "m.onnx"
    models.colours(path, shape, axes=axes, dtype=dtype)
    # Three rows or columns of an open size could be channels, too.
    asked = {"layout": layout} if side == 3 else {}
    encoder = opened(path, frame_side=side, normalize=normalize, interval_ms=250, **asked)
    assert encoder.encoder.input == Frames(side, 250)
    assert encoder.network.batch == (batch if isinstance(batch, int) else 8)
    frames = np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    made = frames.astype(np.float64) if dtype == "uint8" else NORMALIZED[normalize](frames / 1.0)
    expected = made.mean((1, 2)) @ models.weights(3, 8)
    # A value of a pixel is rounded to the type that the model takes.
    close(embed(encoder, frames), expected, 2e-3 if dtype == "float16" else 2e-5)


def test_a_layout_that_the_shape_leaves_open(tmp_path: Path) -> None:
    shape = ("n", "a", "b", "c")
    for layout, axes in (("nchw", (2, 3)), ("nhwc", (1, 2))):
        path = models.colours(tmp_path / f"{layout}.onnx", shape, axes=axes)
        side = opened(path, layout=layout, frame_side=32)
        close(embed(side, FRAMES), (FRAMES / 255).mean((1, 2)) @ models.weights(3, 8))
    # Where one side is known, the channels are the only axis that can have three.
    path = models.colours(tmp_path / "known.onnx", ("n", "c", "h", 32))
    assert opened(path).encoder.input == Frames(32)


@pytest.mark.parametrize("shape", [(1, 4, 3, 8, 8), ("n", 3, 4, "h", 8), ("n", 4, 8, 8, 3)])
def test_clips_of_frames(tmp_path: Path, shape: Any) -> None:
    axes = [axis for axis in (1, 2, 3, 4) if shape[axis] != 3]
    side = opened(models.colours(tmp_path / "m.onnx", shape, axes=axes), window_s=1)
    assert side.encoder.input == Clips(4, 8, 1, None)
    assert (side.encoder.window_ms, side.encoder.step_ms) == (1000, 1000)
    taken = np.random.default_rng(0).integers(0, 256, (5, 4, 8, 8, 3), dtype=np.uint8)
    close(embed(side, taken), (taken / 255).mean((1, 2, 3)) @ models.weights(3, 8))


SOUNDS: dict[str | None, Any] = {
    None: lambda x: x,
    "-1:1": lambda x: x,
    "-32768:32768": lambda x: x * 32768,
    "zscore": lambda x: (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-7),
}


@settings(max_examples=40)
@given(
    batch=st.sampled_from(["n", None, 1, 3]),
    length=st.integers(80, 9000),
    fixed=st.booleans(),
    form=st.sampled_from(["rows", "channel first", "channel last", "alone"]),
    dtype=st.sampled_from(["float32", "float16", "float64"]),
    normalize=st.sampled_from([*SOUNDS]),
    rate=st.sampled_from([None, 8000, 44100]),
    hop_s=st.sampled_from([None, 0.25]),
)
def test_windows_of_sound_of_every_shape(
    tmp_path_factory: pytest.TempPathFactory,
    batch: Any,
    length: int,
    fixed: bool,
    form: str,
    dtype: str,
    normalize: str | None,
    rate: int | None,
    hop_s: float | None,
) -> None:
    size = length if fixed else "samples"
    shape: models.Sizes = {
        "rows": (batch, size),
        "channel first": (batch, 1, size),
        "channel last": (batch, size, 1),
        "alone": (size,),
    }[form]
    path = models.sounds(tmp_path_factory.mktemp("m") / "m.onnx", shape, dtype=dtype)
    window = {} if fixed else {"window_s": length / (rate or 16000)}
    side = opened(path, sample_rate=rate, hop_s=hop_s, normalize=normalize, **window)
    taken = side.encoder.input
    assert isinstance(taken, Sound)
    assert (taken.rate, taken.window_s) == (rate or 16000, length / (rate or 16000))
    assert taken.hop_s == (hop_s or length / (rate or 16000))
    assert side.network.batch == (1 if form == "alone" else batch if batch in (1, 3) else 8)
    sound = windows(SOUND, taken)
    made = SOUNDS[normalize](sound.astype(np.float64))
    close(embed(side, sound), models.heard(made), 3e-2 if dtype == "float16" else 2e-5)


def test_sound_of_any_length_comes_in_the_windows_of_yamnet(tmp_path: Path) -> None:
    side = opened(models.sounds(tmp_path / "m.onnx", ("n", "samples")), "audio")
    assert side.encoder.input == Sound(16000, 0.96, 0.48)
    assert describe_line(side.encoder) == (
        "audio: onnx:m.onnx, width 4, 16 kHz, 0.96 s each 0.48 s; mono, normalized -1:1, float32, "
        "on cpu"
    )


def test_a_whole_waveform_a_call(tmp_path: Path) -> None:
    side = opened(models.whole_sound(tmp_path / "m.onnx"))
    assert (side.encoder.window_ms, side.encoder.step_ms, side.network.batch) == (960, 480, 0)
    cut = windows(SOUND, Sound(16000, 0.96, 0.48))
    close(embed(side, SOUND), cut @ models.weights(4, 1, 15360)[:, 0].T)
    assert side.network.encode(SOUND[:15359]).shape == (0, 4)
    assert [what for what, problem in check_side(side) if problem] == []
    # In windows it is asked for as any other.
    assert opened(tmp_path / "m.onnx", window_s=1.5).encoder.input == Sound(16000, 1.5, 1.5)


def test_one_of_several_outputs_and_pooling(tmp_path: Path) -> None:
    path = models.vectors(tmp_path / "m.onnx")
    frames = FRAMES[:, :8, :8]
    every = models.mapped(frames).reshape(13, 16, 5)
    close(embed(opened(path, output="pooled"), frames), every.mean(1))
    close(embed(opened(path, output="1"), frames), every.mean(1))
    close(embed(opened(path, output="map", pooling="none"), frames), every.reshape(-1, 5))
    close(embed(opened(path, output="tokens"), frames), every[:, :3].mean(1))
    close(embed(opened(path, output="tokens", pooling="cls"), frames), every[:, 0])
    side = opened(path, output="tokens", pooling="none")
    assert (side.encoder.vectors, side.encoder.facts["pooling"]) == (3, "none")
    assert [what for what, problem in check_side(side) if problem] == []
    last = models.vectors(tmp_path / "last.onnx", channels_last=True)
    close(embed(opened(last), frames), every.mean(1))


def test_the_manifest_tells_all_files(tmp_path: Path) -> None:
    plain = models.colours(tmp_path / "plain.onnx")
    side = opened(plain, normalize="clip")
    digest = hashlib.sha256(plain.read_bytes()).hexdigest()
    told = describe({"visual": side}, {"visual": False})
    assert told["encoders"]["visual"] == {
        "name": "onnx:plain.onnx",
        "width": 8,
        "window_ms": 0,
        "step_ms": 480,
        "preprocessing": "RGB, normalized clip, NCHW float32",
        "weights": "plain.onnx",
        "weights_sha256": digest,
        "frame_side": 32,
        "frame_interval_ms": 480,
        "output": "y",
        "device": "cpu",
    }
    assert set(told["libraries"]) == {"numpy", "av", "cv2", "onnxruntime"}
    apart = models.colours(tmp_path / "apart.onnx", external="apart.onnx_data")
    sums = {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("apart.onnx", "apart.onnx_data")
    }
    side = opened(apart)
    assert side.encoder.facts["files"] == sums
    first = side.network.weights_sha256
    close(embed(side, FRAMES), (FRAMES / 255).mean((1, 2)) @ models.weights(3, 8))
    (tmp_path / "apart.onnx_data").write_bytes(models.weights(3, 8, seed=1).tobytes())
    assert opened(apart).network.weights_sha256 != first


def test_a_folder_and_the_settings_beside_a_model(tmp_path: Path) -> None:
    """As Hub repositories of ONNX models are laid out."""
    models.colours(tmp_path / "onnx" / "model.onnx", ("n", 3, "h", "w"))
    config: dict[str, Any] = {
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.5, 0.5, 0.25],
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": 40},
        "crop_size": {"height": 32, "width": 32},
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    side = opened(tmp_path)
    assert side.encoder.input == Frames(32)
    assert side.encoder.preprocessing == "RGB, normalized 0.1,0.2,0.3/0.5,0.5,0.25, NCHW float32"
    made = (FRAMES / 255 - config["image_mean"]) / config["image_std"]
    close(embed(side, FRAMES), made.mean((1, 2)) @ models.weights(3, 8))
    # What is asked for comes first.
    asked = opened(tmp_path, normalize="0:1", frame_side=20)
    assert asked.encoder.input == Frames(20)
    assert "normalized 0:1" in asked.encoder.preprocessing
    for more, expected in (
        ({"do_normalize": False}, "0:1"),
        ({"do_normalize": False, "do_rescale": False}, "0:255"),
        ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [255] * 3}, "0.5,0.5,0.5/1"),
    ):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(config | more))
        assert f"normalized {expected}" in opened(tmp_path).encoder.preprocessing


def test_the_settings_beside_a_model_of_sound(tmp_path: Path) -> None:
    models.sounds(tmp_path / "model.onnx", ("n", "samples"))
    config = {"sampling_rate": 8000, "do_normalize": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    side = opened(tmp_path)
    assert side.encoder.input == Sound(8000, 0.96, 0.48)
    assert side.encoder.preprocessing == "mono, normalized zscore, float32"


def test_check(run: Run, tmp_path: Path) -> None:
    models.colours(tmp_path / "m.onnx")
    ran = run("encoders", "check", "onnx:m.onnx", "--normalize", "-1:1", "--device", "cpu")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "visual: onnx:m.onnx, width 8, 32 x 32 RGB, a frame each 0.48 s; RGB, normalized -1:1, "
        "NCHW float32, on cpu",
        "ok     width is as declared",
        "ok     values are float32",
        "ok     values are finite",
        "ok     timing is as declared",
        "ok     the same input gives the same",
        "ok     other input gives something else",
        "ok     in a batch and one by one is the same",
        "ok     a short input is taken or refused",
        "ok     an empty input is taken or refused",
    ]


def test_neither_tensorflow_nor_pytorch_is_imported(tmp_path: Path) -> None:
    path = models.colours(tmp_path / "m.onnx")
    program = (
        "import sys, avmit_cli\n"
        f"sys.argv = ['avmit', 'encoders', 'check', 'onnx:{path}']\n"
        "try:\n    avmit_cli.main()\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "unwanted = {'tensorflow', 'keras', 'torch', 'transformers', 'onnx'} & {*sys.modules}\n"
        "assert 'onnxruntime' in sys.modules and not unwanted, unwanted\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_session_says_what_it_computes_by(tmp_path: Path) -> None:
    session = open_session(models.colours(tmp_path / "m.onnx"), device="cpu", threads=1)
    assert provider_of(session) == "CPUExecutionProvider"


def test_nothing_computes_in_less_than_float32() -> None:
    cpu, cuda = ("CPUExecutionProvider", dict[str, str]()), "CUDAExecutionProvider"
    exact = (cuda, {"use_tf32": "0"})
    there = ["TensorrtExecutionProvider", cuda, "CPUExecutionProvider"]
    assert providers_for("auto", there) == providers_for("cuda", there) == [exact, cpu]
    assert providers_for("cpu", there) == providers_for("auto", there[2:]) == [cpu]
    apple = "CoreMLExecutionProvider"
    assert providers_for("mps", [apple, *there[2:]]) == [(apple, {}), cpu]
    assert providers_for("auto", [apple, *there[2:]]) == [cpu]
