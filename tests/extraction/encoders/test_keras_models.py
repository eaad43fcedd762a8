"""`keras:` encoders: models of keras.applications and .keras files."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support import tensorflow_models as networks
from support.commands import Run

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.base import Side
from extraction.encoders.registry import added_by_modules
from extraction.encoders.settings import Settings
from extraction.encoders.tensorflow.keras import SIDES
from extraction.encoders.tensorflow.published import EFFICIENTNET_B0_CORRECTED
from extraction.media.forms import Frames

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

    def digest(weights: Path) -> str:
        return opened("MobileNet", weights, backend="tensorflow").network.weights_sha256

    first = digest(path)
    assert digest(whole) == first
    variables = model.get_weights()
    model.set_weights([variables[0] + 1, *variables[1:]])
    model.save_weights(tmp_path / "other.weights.h5")
    model.set_weights(variables)
    assert digest(tmp_path / "other.weights.h5") != first


def test_efficientnet_is_scaled_as_with_the_weights_that_keras_fetches(tmp_path: Path) -> None:
    path = networks.save_as_published(networks.efficientnet(), tmp_path / "effnet.h5")
    expected = EFFICIENTNET_B0_CORRECTED.load(path).encode(FRAMES)
    side = opened("EfficientNetB0", path, backend="tensorflow")
    close(side.network.encode(FRAMES), expected)


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


CLASSES = """
import keras

@keras.saving.register_keras_serializable("tests")
class Small(keras.Model):
    def __init__(self, gives="array", **keywords):
        super().__init__(**keywords)
        self.gives = gives
        self.convolution = keras.layers.Conv2D(4, 3)
        self.pool = keras.layers.GlobalAveragePooling2D()

    def call(self, images):
        means = self.pool(self.convolution(images))
        if self.gives == "one":
            return [means]
        if self.gives == "list":
            return [means[:, :3], means]
        if self.gives == "mixed":
            return keras.ops.mean(means, 0, keepdims=True)
        if self.gives == "dict":
            return {"scores": {"two": means[:, :2]}, "means": means}
        return means

    def get_config(self):
        return {**super().get_config(), "gives": self.gives}
"""


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classes") / "my_models.py"
    path.write_text(CLASSES)
    return path


def small(classes: Path, path: Path, gives: str = "array", call: bool = True) -> Any:
    """Save a model of a class of one's own; return it."""
    assert added_by_modules([classes]) == {}
    keras.utils.set_random_seed(0)
    model = keras.saving.get_registered_object("tests>Small")(gives)
    if call:
        model(np.zeros((2, 32, 32, 3), np.float32))
    model.save(path)
    return model


@pytest.mark.parametrize("how", ["input", "built", "called"])
def test_a_sequential_model(how: str, tmp_path: Path, run: Run) -> None:
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(6, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
    ]
    model = keras.Sequential([keras.Input((32, 32, 3)), *layers] if how == "input" else layers)
    if how == "built":
        model.build((None, 32, 32, 3))
    frames = FRAMES[:, :32, :32]
    expected = model(frames.astype(np.float32)).numpy()
    model.save(tmp_path / "mine.keras")
    side = opened(str(tmp_path / "mine.keras"))
    assert (side.encoder.width, side.encoder.input) == (6, Frames(32))
    close(side.network.encode(frames), expected)
    ran = run("encoders", "check", f"keras:{tmp_path}/mine.keras")
    assert ran.code == 0
    assert ran.out.startswith("visual: keras:mine.keras, width 6, 32 x 32 RGB")


def test_frames_of_any_size(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(5, 3)(image))
    keras.Model(image, pooled).save(tmp_path / "any.keras")
    side = opened(str(tmp_path / "any.keras"), interval_ms=240)
    assert (side.encoder.width, side.encoder.input) == (5, Frames(224, 240))


@pytest.mark.parametrize(
    ("gives", "output"), [("array", None), ("one", None), ("list", "1"), ("dict", "means")]
)
def test_a_class_of_ones_own(
    gives: str, output: str | None, classes: Path, tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "mine.keras"
    model = small(classes, path, gives)
    frames = FRAMES[:, :32, :32]
    expected = model.pool(model.convolution(frames.astype(np.float32))).numpy()
    side = opened(str(path), output=output)
    assert (side.encoder.width, side.encoder.input) == (4, Frames(32))
    close(side.network.encode(frames), expected)
    chosen = [] if output is None else ["--output", output]
    ran = run("encoders", "check", f"keras:{path}", "--encoder-module", classes, *chosen)
    assert ran.code == 0


def test_outputs_inside_others_are_named_by_both(classes: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    small(classes, path, "dict")
    assert "has 2 outputs; there are scores/two (?, 2), means (?, 4): pick" in problem(str(path))
    assert opened(str(path), output="scores/two").encoder.width == 2


def test_a_class_that_nobody_registered(tmp_path: Path) -> None:
    class Unknown(keras.Model):  # type: ignore[misc]
        def call(self, images: Any) -> Any:
            return images[:, 0, 0]

    path = tmp_path / "unknown.keras"
    Unknown().save(path)
    assert "(Could not locate class 'Unknown'." in problem(str(path))
    assert problem(str(path)).endswith(
        "a class of your own needs @keras.saving.register_keras_serializable() in a file that "
        "--encoder-module names"
    )


def test_models_that_were_saved_without_weights(classes: Path, tmp_path: Path) -> None:
    keras.Sequential([keras.layers.Conv2D(2, 3)]).save(tmp_path / "sequential.keras")
    small(classes, tmp_path / "mine.keras", call=False)
    for name in ("sequential.keras", "mine.keras"):
        assert problem(str(tmp_path / name)) == (
            f"{tmp_path}/{name} was saved before its layers had weights: call the model on "
            "frames, and save it again"
        )


def test_a_model_that_does_not_take_frames_of_its_size(tmp_path: Path) -> None:
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Reshape((2, 2))]
    keras.Sequential(layers).save(tmp_path / "odd.keras")
    assert problem(str(tmp_path / "odd.keras")) == (
        f"{tmp_path}/odd.keras does not take frames (batch, 224, 224, 3) (The total size of the "
        "tensor must be unchanged. Received: input_shape=(3,), target_shape=(2, 2)): give the "
        "model an Input of the size that it takes, and save it again"
    )


def test_a_model_that_mixes_the_frames_of_a_batch(classes: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    small(classes, path, "mixed")
    assert f"output 0 of {path} is (1, 4), not (batch, width): " in problem(str(path))


def test_keras_that_computes_by_something_else(
    monkeypatch: pytest.MonkeyPatch, mobilenet: tuple[Any, Path]
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    expected = "Keras is set to compute by torch: set KERAS_BACKEND=tensorflow"
    assert problem("MobileNet", weights=mobilenet[1]) == expected


def close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
