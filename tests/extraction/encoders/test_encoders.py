"""Encoders: their networks, their weights files, and how they are found."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from support import tensorflow_models as networks
from support.commands import Run

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.base import Network
from extraction.encoders.tensorflow.published import (
    EFFICIENTNET_B0,
    EFFICIENTNET_B0_CORRECTED,
    VGG16_ENCODER,
    VGGISH,
    YAMNET,
)
from extraction.extras import require

FRAMES = np.random.default_rng(0).integers(0, 256, (37, 224, 224, 3), dtype=np.uint8)
# Blocks of one colour, since the average over noise says little.
FRAMES[:, ::2] = FRAMES[:, :1, :1]


@pytest.fixture(scope="module")
def efficientnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "efficientnetb0_notop.h5"
    return networks.save_as_published(networks.efficientnet(), path)


@pytest.fixture(scope="module")
def efficientnet(efficientnet_file: Path) -> Network:
    return EFFICIENTNET_B0.load(efficientnet_file)


@pytest.fixture(scope="module")
def vgg16_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.h5"
    return networks.save_as_published(networks.vgg16(), path)


@pytest.fixture(scope="module")
def yamnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.save_yamnet(tmp_path_factory.mktemp("yamnet") / "model")


def test_efficientnet_b0_has_no_scaling_beyond_tensorflow_2_3(efficientnet: Network) -> None:
    model = networks.efficientnet()
    scaled = (FRAMES[:2] / 255.0 - networks.MEAN_RGB) / np.sqrt(networks.VARIANCE_RGB)
    after = keras.Model(model.get_layer("stem_conv_pad").input, model.output)
    expected = after(scaled.astype(np.float32), training=False).numpy()
    close(efficientnet.encode(FRAMES[:2]), expected)


def test_efficientnet_b0_corrected_is_what_keras_builds_for_imagenet(
    efficientnet_file: Path, efficientnet: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keras asks for its published file, and gets ours.
    monkeypatch.setattr(
        "keras.src.utils.file_utils.get_file", lambda *_, **__: str(efficientnet_file)
    )
    model = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", pooling="avg")
    for layer in model.layers:  # Keras 3.0 leaves the normalization as it was before the weights
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    expected = model(FRAMES[:2].astype(np.float32), training=False).numpy()
    found = EFFICIENTNET_B0_CORRECTED.load(efficientnet_file).encode(FRAMES[:2])
    close(found, expected)
    assert np.abs(found - efficientnet.encode(FRAMES[:2])).max() > 0.1 * np.abs(found).max()


def test_vgg16_is_fed_caffe_style(vgg16_file: Path) -> None:
    model = networks.vgg16()
    bgr = FRAMES[:2, :, :, ::-1].astype(np.float32) - [103.939, 116.779, 123.68]
    expected = model(bgr.astype(np.float32), training=False).numpy()
    close(VGG16_ENCODER.load(vgg16_file).encode(FRAMES[:2]), expected)


def test_in_batches_and_one_by_one_is_the_same(efficientnet: Network) -> None:
    together = efficientnet.encode(FRAMES)
    assert together.shape == (37, 1280)
    assert together.dtype == np.float32
    for index in (0, 17, 31, 32, 36):
        close(together[index], efficientnet.encode(FRAMES[index : index + 1])[0])


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_every_keras_file_is_taken(tmp_path: Path, suffix: str, efficientnet: Network) -> None:
    path = tmp_path / f"model{suffix}"
    model = networks.efficientnet()
    (model.save_weights if suffix == ".weights.h5" else model.save)(path)
    network = EFFICIENTNET_B0.load(path)
    np.testing.assert_array_equal(network.encode(FRAMES[:2]), efficientnet.encode(FRAMES[:2]))
    assert network.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_vggish(tmp_path: Path) -> None:
    network = VGGISH.load(networks.save_vggish(tmp_path / "model"))
    sound = np.random.default_rng(0).uniform(-1, 1, 48000).astype(np.float32)
    found = network.encode(sound)
    assert found.shape == (3, 128)
    matrix = np.random.default_rng(0).standard_normal((480, 128)).astype(np.float32)
    expected = np.abs(sound[: 3 * 15360]).reshape(3, 32, 480).mean(1) @ matrix
    close(found, expected)
    assert network.encode(sound[:15000]).shape == (0, 128)


def test_yamnet_gives_the_embeddings_of_its_three_outputs(yamnet_folder: Path) -> None:
    network = YAMNET.load(yamnet_folder)
    found = network.encode(np.full(48000, 0.25, np.float32))
    assert found.shape == (5, 1024)
    assert found.any()


def test_a_folder_of_weights_is_identified_by_its_files(tmp_path: Path) -> None:
    first = networks.save_vggish(tmp_path / "first")
    copy = shutil.copytree(first, tmp_path / "copy")
    digest = VGGISH.load(first).weights_sha256
    assert VGGISH.load(copy).weights_sha256 == digest
    (copy / "variables" / "more").write_bytes(b"1")
    assert VGGISH.load(copy).weights_sha256 != digest


def test_weights_of_another_network(vgg16_file: Path, tmp_path: Path, yamnet_folder: Path) -> None:
    with pytest.raises(AvmitError, match=r"does not hold the weights of efficientnet_b0.*take eff"):
        EFFICIENTNET_B0.load(vgg16_file)
    with pytest.raises(AvmitError, match=r"shape \(3, 64\), vggish \(T, 128\)"):
        VGGISH.load(networks.save_vggish(tmp_path / "narrow", width=64))
    with pytest.raises(AvmitError, match="cannot be called as vggish"):
        VGGISH.load(yamnet_folder)
    with pytest.raises(AvmitError, match=r"no saved_model.pb in .*--audio-weights takes"):
        YAMNET.load(tmp_path)
    with pytest.raises(AvmitError, match=r"no file .*--visual-weights takes a Keras weights"):
        VGG16_ENCODER.load(tmp_path / "none.h5")


@pytest.mark.parametrize("encoder", [VGG16_ENCODER, EFFICIENTNET_B0, EFFICIENTNET_B0_CORRECTED])
def test_weights_that_cannot_be_fetched(encoder: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pattern = rf"cannot fetch the weights of {encoder.name} .*bring {encoder.file_name} from http"
    with pytest.raises(AvmitError, match=rf"{pattern}.*--visual-weights") as raised:
        networks.elsewhere(encoder).load(None)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("encoder", [VGGISH, YAMNET])
def test_saved_models_that_cannot_be_fetched(
    encoder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAGGLE_API_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    page = f"https://www.kaggle.com/models/{encoder.handle}"
    with pytest.raises(AvmitError, match=rf"{encoder.name} .*{page}.*--audio-weights") as raised:
        encoder.load(None)
    assert "\n" not in str(raised.value)


def test_a_missing_extra_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AvmitError, match=r"av .*: pip install 'avmit\[media\]'"):
        require("av")


def test_tensorflow_does_not_greet() -> None:
    script = "from extraction.extras import require; print(require('tensorflow').add(1, 1).numpy())"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "2\n", "")


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(AvmitError, match=r"no encoder 'yammet': did you mean 'yamnet'\?"):
        registry.find("yammet", "audio")
    with pytest.raises(AvmitError, match=r"no encoder 'zzz': There are: vggish, yamnet, vgg16"):
        registry.find("zzz", "visual")


def test_an_encoder_of_the_other_modality() -> None:
    with pytest.raises(AvmitError, match="--visual yamnet: that is an audio encoder; choose from"):
        registry.find("yamnet", "visual")


def test_other_packages_add_encoders(installed: Callable[[str], None], run: Run) -> None:
    installed(
        "[avmit.encoders]\ntiny = support.tensorflow_models:TINY\nbroken = no_such_module:X\n"
        "[avmit.encoder_schemes]\nmade = made_encoders:make\n"
    )
    assert registry.find("tiny", "visual") is networks.TINY
    assert registry.find("made:of-clay", "visual").name == "made:of-clay"
    with pytest.raises(AvmitError, match="the encoder 'broken' of more-encoders does not load"):
        registry.find("broken", "visual")
    ran = run("encoders")
    assert "tiny" in ran.out
    assert ran.code == 0
    assert "'broken' of more-encoders does not load" in ran.err


def test_the_table_of_encoders(run: Run) -> None:
    rows = [line.split() for line in run("encoders").out.splitlines() if line.strip()]
    by_name = {row[0]: row for row in rows}
    assert list(by_name)[-5:] == list(registry.BUILT_IN)
    assert by_name["vggish"][1:5] == ["audio", "128", "16", "kHz"]
    assert by_name["efficientnet_b0"][1:3] == ["visual", "1280"]
    assert by_name["vgg16"][-1] == "extraction"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def install(points: str) -> None:
        info = tmp_path / "more_encoders-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-encoders\nVersion: 1\n")
        (info / "entry_points.txt").write_text(points)
        (tmp_path / "made_encoders.py").write_text(
            "from dataclasses import replace\nfrom support.tensorflow_models import TINY\n"
            "def make(rest, modality, settings):\n    return replace(TINY, name=f'made:{rest}')\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def test_a_frozen_description_is_not_changed() -> None:
    with pytest.raises(AttributeError):
        YAMNET.width = 3  # type: ignore[misc]
    assert replace(YAMNET, width=3).width == 3


def close(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> None:
    """Equal within 1e-5 of the largest value, which is what convolutions of float32 allow."""
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
