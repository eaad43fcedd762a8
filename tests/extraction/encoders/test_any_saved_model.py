"""`saved_model:` and `kaggle:` encoders."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import tensorflow_models as networks

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.base import Side
from extraction.encoders.settings import Settings
from extraction.encoders.tensorflow.published import YAMNET
from extraction.media.forms import Frames

SOUND = np.random.default_rng(0).uniform(-1, 1, 48000).astype(np.float32)
FRAMES = np.random.default_rng(1).integers(0, 256, (35, 32, 32, 3), dtype=np.uint8)


def opened(name: str, modality: Any, **settings: Any) -> Side:
    return registry.find(name, modality, Settings(**settings)).open()


def problem(name: str, modality: Any, **settings: Any) -> str:
    with pytest.raises(AvmitError) as raised:
        opened(name, modality, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture(scope="module")
def yamnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.save_yamnet(tmp_path_factory.mktemp("saved") / "yamnet")


def test_width_and_timing_are_found_out(tmp_path: Path) -> None:
    folder = networks.save_vggish(tmp_path / "mine", width=24)
    side = opened(f"saved_model:{folder}", "audio")
    assert (side.encoder.name, side.encoder.width) == ("saved_model:mine", 24)
    assert (side.encoder.window_ms, side.encoder.step_ms) == (960, 960)
    assert side.network.encode(SOUND).shape == (3, 24)


def test_one_of_several_outputs(yamnet: Path) -> None:
    name = f"saved_model:{yamnet}"
    assert problem(name, "audio") == (
        f"{yamnet} has 3 outputs; there are 0 (5, 521), 1 (5, 1024), 2 (480, 64): "
        "pick one with --audio-output"
    )
    side = opened(name, "audio", output="1", backend="tensorflow")
    assert side.encoder.step_ms == 480
    np.testing.assert_array_equal(side.network.encode(SOUND), YAMNET.load(yamnet).encode(SOUND))
    assert "has no output '3'; there are 0 (" in problem(name, "audio", output="3")


def test_a_whole_video_at_once(tmp_path: Path) -> None:
    class Loudness(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, waveform: Any) -> Any:
            return tf.stack([tf.reduce_max(waveform), tf.reduce_mean(tf.abs(waveform))])[None]

    tf.saved_model.save(Loudness(), str(tmp_path / "loudness"))
    side = opened(f"saved_model:{tmp_path / 'loudness'}", "audio")
    assert (side.encoder.width, side.encoder.step_ms) == (2, None)


def test_frames(tmp_path: Path) -> None:
    """As `model.export` writes it: a signature alone, with names."""
    model = networks.tiny_model(8)
    model.export(tmp_path / "tiny")
    side = opened(f"saved_model:{tmp_path / 'tiny'}", "visual", interval_ms=100)
    assert side.encoder.input == Frames(32, 100)
    expected = model((FRAMES / 255).astype(np.float32), training=False).numpy()
    found = np.stack(side.network.encode(FRAMES))
    assert found.shape == (35, 8)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_frames_as_bytes(tmp_path: Path) -> None:
    class Mean(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([1, 48, 48, 3], tf.uint8)])  # type: ignore[untyped-decorator]
        def __call__(self, frames: Any) -> Any:
            return tf.reduce_mean(tf.cast(frames, tf.float32), [1, 2])

    tf.saved_model.save(Mean(), str(tmp_path / "mean"))
    side = opened(f"saved_model:{tmp_path / 'mean'}", "visual")
    assert (side.encoder.input, side.network.batch) == (Frames(48), 1)
    frames = np.full((3, 48, 48, 3), 7, np.uint8)
    np.testing.assert_array_equal(side.network.encode(frames), np.full((3, 3), 7.0))


def test_what_is_none(tmp_path: Path, yamnet: Path) -> None:
    assert problem(f"saved_model:{tmp_path}", "audio").startswith(
        f"no saved_model.pb in {tmp_path}"
    )
    (tmp_path / "saved_model.pb").write_bytes(b"nonsense")
    assert "is no SavedModel that TensorFlow can load (" in problem(
        f"saved_model:{tmp_path}", "audio"
    )
    assert "does not take frames (32, 224, 224, 3) (" in problem(f"saved_model:{yamnet}", "visual")
    assert problem(f"saved_model:{yamnet}", None).endswith("say which with --modality")


def test_two_inputs(tmp_path: Path) -> None:
    first, second = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([first, second], keras.layers.Add()([first, second]))
    model.export(tmp_path / "two")
    assert "one input is wanted" in problem(f"saved_model:{tmp_path / 'two'}", "audio")


def test_kaggle(yamnet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAGGLE_API_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    assert problem("kaggle:google/yamnet", "audio").startswith(
        "kaggle:google/yamnet is no handle: give OWNER/MODEL/tensorFlow2/VARIATION"
    )
    handle = "somebody/hearing/tensorFlow2/small/2"
    found = problem(f"kaggle:{handle}", "audio")
    assert found.startswith(f"cannot fetch the weights of kaggle:{handle} (")
    assert found.endswith(
        f"bring the SavedModel from https://www.kaggle.com/models/{handle}, unpack it, and name it "
        "saved_model:/path/of/the/folder"
    )
    cached = tmp_path / "models" / handle
    cached.parent.mkdir(parents=True)
    cached.symlink_to(yamnet)
    cached.with_name("2.complete").touch()
    side = opened(f"kaggle:{handle}", "audio", output="1")
    assert (side.encoder.width, side.encoder.origin) == (1024, f"Kaggle {handle}")
