"""`keras:` encoders: models of keras.applications and .keras files."""

from pathlib import Path
from typing import Any

import keras
import networks
import numpy as np
import pytest

from avmit import AvmitError
from extraction import registry
from extraction.encoder import Side
from extraction.encoders.efficientnet import EFFICIENTNET_B0_CORRECTED
from extraction.inputs import Frames
from extraction.keras_models import SIDES
from extraction.settings import Settings

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
FRAMES[:, ::2] = FRAMES[:, :1, :1]


def opened(name: str, weights: Path | None = None, **settings: Any) -> Side:
    return registry.find(f"keras:{name}", "visual", Settings(**settings)).open(weights)


def problem(name: str, modality: Any = "visual", weights: Path | None = None, **given: Any) -> str:
    with pytest.raises(AvmitError) as raised:
        registry.find(f"keras:{name}", modality, Settings(**given)).open(weights)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A model with random weights, and their file."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNet(include_top=False, weights=None, pooling="avg")
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    model.save_weights(path)
    return model, path


def test_an_application_with_its_own_preprocessing(mobilenet: tuple[Any, Path]) -> None:
    model, path = mobilenet
    side = opened("MobileNet", path, interval_ms=240)
    assert side.encoder.width == 1024
    assert side.encoder.input == Frames(224, 240)
    # MobileNet takes -1 to 1.
    expected = model((FRAMES / 127.5 - 1).astype(np.float32), training=False).numpy()
    close(side.network.encode(FRAMES), expected)


def test_the_weights_count_not_their_file(mobilenet: tuple[Any, Path], tmp_path: Path) -> None:
    model, path = mobilenet
    whole = networks.save_as_published(model, tmp_path / "mobilenet.h5")
    first, second = (opened("MobileNet", one).network.weights_sha256 for one in (path, whole))
    assert first == second
    variables = model.get_weights()
    model.set_weights([variables[0] + 1, *variables[1:]])
    model.save_weights(tmp_path / "other.weights.h5")
    model.set_weights(variables)
    assert opened("MobileNet", tmp_path / "other.weights.h5").network.weights_sha256 != first


def test_efficientnet_is_scaled_as_with_the_weights_that_keras_fetches(tmp_path: Path) -> None:
    path = networks.save_as_published(networks.efficientnet(), tmp_path / "effnet.h5")
    expected = EFFICIENTNET_B0_CORRECTED.load(path).encode(FRAMES)
    close(opened("EfficientNetB0", path).network.encode(FRAMES), expected)


@pytest.mark.parametrize("name", ["EfficientNetB1", "InceptionV3", "NASNetMobile"])
def test_frames_have_the_size_that_the_model_was_trained_with(name: str) -> None:
    whole = getattr(keras.applications, name)(weights=None)
    assert whole.input_shape == (None, SIDES.get(name, 224), SIDES.get(name, 224), 3)
    assert registry.find(f"keras:{name}", "visual").input == Frames(SIDES.get(name, 224))


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("keras.src.applications.mobilenet.BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    found = problem("MobileNet")
    assert found.startswith("cannot fetch the weights of keras:MobileNet (")
    assert found.endswith("and name it with --visual-weights")


def test_names_and_files_that_are_none(tmp_path: Path) -> None:
    assert "did you mean keras:ResNet50" in problem("ResNet5")
    assert "did you mean keras:VGG16" in problem("vgg16")
    assert problem("ResNet50", "audio").startswith("--audio keras:ResNet50: Keras models take")
    assert problem(str(tmp_path / "no.keras")).startswith(f"no .keras file {tmp_path}/no.keras: ")
    (tmp_path / "bad.keras").write_bytes(b"no model")
    assert "is no model that Keras can load (" in problem(str(tmp_path / "bad.keras"))
    assert "no file" in problem("MobileNet", weights=tmp_path / "none.h5")


def test_a_file_with_several_outputs(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 3)(inputs))
    scores = keras.layers.Dense(4, name="scores")(pooled)
    embedding = keras.layers.Dense(5, name="embedding")(pooled)
    model = keras.Model(inputs, {"scores": scores, "embedding": embedding})
    path = tmp_path / "two.keras"
    model.save(path)
    assert "has 2 outputs; there are " in problem(str(path))
    assert "embedding (?, 5)" in problem(str(path))
    assert problem(str(path)).endswith("pick one with --visual-output")
    assert "has no output 'other'; there are" in problem(str(path), output="other")
    frames = FRAMES[:, :32, :32]
    expected = model(frames.astype(np.float32))["embedding"].numpy()
    side = opened(str(path), output="embedding")
    close(side.network.encode(frames), expected)
    assert (side.encoder.name, side.encoder.width) == ("keras:two.keras", 5)
    assert side.encoder.facts["output"] == "embedding"


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    flat = keras.Input((10,))
    keras.Model(flat, keras.layers.Dense(2)(flat)).save(tmp_path / "flat.keras")
    assert "a model of frames (batch, side, side, 3) is wanted" in problem(
        str(tmp_path / "flat.keras")
    )
    image = keras.Input((32, 32, 3))
    keras.Model(image, keras.layers.Conv2D(2, 3)(image)).save(tmp_path / "maps.keras")
    assert "not (batch, width)" in problem(str(tmp_path / "maps.keras"))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    inputs = keras.Input((32, 32, 3))
    outputs = keras.layers.Lambda(lambda x: x[:, 0, 0, :])(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "lambda.keras")
    assert "is no model that Keras can load (" in problem(str(tmp_path / "lambda.keras"))


def close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
