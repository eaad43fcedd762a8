"""What computes TensorFlow's encoders: TensorFlow, or ONNX Runtime after an export that is kept."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import tensorflow_models as networks
from support.blocked import TENSORFLOW, run_without
from support.commands import Run
from support.places import ROOT

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.base import Side
from extraction.encoders.onnx.cache import DamagedError, keep, look_up
from extraction.encoders.settings import Backend, Settings
from extraction.encoders.tensorflow.published import VGGISH
from extraction.media.forms import Form

FRAMES = np.random.default_rng(0).integers(0, 256, (37, 32, 32, 3), dtype=np.uint8)
SOUND = np.random.default_rng(1).uniform(-1, 1, 48000).astype(np.float32)


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of kept exports."""
    monkeypatch.setenv("AVMIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onnx"


@pytest.fixture
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """No classes for .keras files, as in a process of its own."""
    registered = keras.saving.get_custom_objects()
    for name in [*registered]:
        monkeypatch.delitem(registered, name)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras model with a normalization layer, whose constants Keras keeps outside its graph."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((32, 32, 3))
    scaled = keras.layers.Normalization(mean=[100, 110, 120], variance=[900, 1000, 1100])(inputs)
    features = keras.layers.Conv2D(8, 5, strides=3, activation="relu")(scaled)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(features))
    path = tmp_path_factory.mktemp("models") / "tiny.keras"
    model.save(path)
    return path


def opened(name: str, modality: Any = "visual", **settings: Any) -> Side:
    return registry.find(name, modality, Settings(**settings)).open()


def problem(name: str, modality: Any = "visual", **settings: Any) -> str:
    with pytest.raises(AvmitError) as raised:
        opened(name, modality, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def saved(folder: Path, call: Callable[[Any], Any], shape: Any, dtype: Any = tf.float32) -> str:
    """Save a function of one tensor as a SavedModel, and return its encoder's name."""
    module = tf.Module()
    module.__call__ = tf.function(call, input_signature=[tf.TensorSpec(shape, dtype)])
    tf.saved_model.save(module, str(folder), signatures=module.__call__)
    return f"saved_model:{folder}"


def close(found: Any, expected: Any) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found - expected).max(initial=0) <= 2e-6 * np.abs(expected).max(initial=1e-30)


def test_both_backends_give_the_same(exports: Path, tiny: Path) -> None:
    mine, theirs = (opened(f"keras:{tiny}", backend=one) for one in ("onnx", "tensorflow"))
    close(mine.network.encode(FRAMES), theirs.network.encode(FRAMES))
    assert mine.encoder.input == theirs.encoder.input
    assert mine.encoder.width == theirs.encoder.width == 8
    assert mine.network.weights_sha256 == theirs.network.weights_sha256
    assert mine.encoder.libraries == ("onnxruntime",)
    facts = dict(mine.encoder.facts)
    export = facts.pop("export")
    assert facts == {"backend": "onnx", "device": "cpu"}
    assert export.keys() == {"opset", "tensorflow", "keras", "tf2onnx", "onnx", "difference"}
    assert 0 <= export["difference"] < 1e-6
    assert theirs.encoder.facts == {"backend": "tensorflow", "device": "cpu"}
    assert theirs.network.notes == ("keras:tiny.keras: by TensorFlow on cpu",)
    [note] = mine.network.notes
    assert note.startswith("keras:tiny.keras: by ONNX Runtime on cpu, exported now; at most ")
    [again] = opened(f"keras:{tiny}").network.notes
    assert again == note.replace("now", "before")


def test_what_is_kept_needs_no_tensorflow(
    exports: Path, tiny: Path, tmp_path: Path, nothing_registered: None
) -> None:
    sound = networks.save_yamnet(tmp_path / "yamnet")
    names = {"visual": f"keras:{tiny}", "audio": f"saved_model:{sound}"}
    sides = {one: opened(name, one, output=_output(one)) for one, name in names.items()}
    script = f"""
import numpy as np
from extraction.encoders import registry
from extraction.encoders.settings import Settings
for modality, name, output in {[(one, name, _output(one)) for one, name in names.items()]}:
    side = registry.find(name, modality, Settings(output=output)).open()
    encoder = side.encoder
    inputs = np.load(modality + ".npy")
    np.save(modality + "-found.npy", np.asarray(side.network.encode(inputs)))
    print(encoder.width, encoder.window_ms, encoder.step_ms, encoder.facts["backend"])
"""
    np.save(tmp_path / "visual.npy", FRAMES)
    np.save(tmp_path / "audio.npy", SOUND)
    ran = run_without(TENSORFLOW, "-c", script, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == ["8 0 480 onnx", "1024 960.0 480.0 onnx"]
    for modality, inputs in (("visual", FRAMES), ("audio", SOUND)):
        found = np.load(tmp_path / f"{modality}-found.npy")
        np.testing.assert_array_equal(found, sides[modality].network.encode(inputs))


def _output(modality: str) -> str | None:
    return "1" if modality == "audio" else None


def test_averages_over_frames_of_one_colour(tmp_path: Path) -> None:
    """What is summed in another order differs most where all that is summed is the same."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((224, 224, 3))
    features = keras.layers.Conv2D(32, 3, strides=2, activation="silu")(inputs)
    scale = keras.layers.GlobalAveragePooling2D(keepdims=True)(features)
    scaled = keras.layers.Multiply()([features, keras.layers.Conv2D(32, 1)(scale)])
    path = tmp_path / "squeezed.keras"
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(scaled)).save(path)
    frames = np.arange(0, 240, 40, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(frames, (6, 224, 224, 3)).copy()
    mine, theirs = (opened(f"keras:{path}", backend=one) for one in ("onnx", "tensorflow"))
    close(mine.network.encode(frames), theirs.network.encode(frames))


COLOURS = np.array([0.5, 0.25, 2], np.float32)
PIXELS = np.random.default_rng(5).uniform(0, 1, (32, 32, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "scale",
    [
        lambda frames: (frames * (1 / 255) - COLOURS) / COLOURS[::-1],
        lambda frames: COLOURS[None, None, None] - frames / COLOURS[:1],
        lambda frames: frames * PIXELS + COLOURS,
        lambda frames: frames * COLOURS * PIXELS,
        lambda frames: frames * PIXELS[:, :1, :1],
        lambda frames: frames * COLOURS * frames,
        lambda frames: frames[..., ::-1] - COLOURS,
        lambda frames: frames,
    ],
)
def test_frames_that_are_scaled_before_a_convolution(
    scale: Callable[[Any], Any], tmp_path: Path
) -> None:
    kernel = np.random.default_rng(6).standard_normal((5, 5, 3, 8)).astype(np.float32)

    def embed(frames: Any) -> Any:
        features = tf.nn.conv2d(scale(tf.cast(frames, tf.float32)), kernel, 3, "SAME")
        return tf.reduce_mean(tf.nn.relu(features), [1, 2])

    name = saved(tmp_path / "scaled", embed, [None, 32, 32, 3], tf.uint8)
    mine, theirs = (opened(name, backend=one) for one in ("onnx", "tensorflow"))
    close(mine.network.encode(FRAMES), theirs.network.encode(FRAMES))


@pytest.mark.parametrize("samples", [0, 1, 15_359, 15_360, 15_361, 48_000, 100_000])
def test_sounds_of_any_length(tmp_path: Path, samples: int) -> None:
    folder = networks.save_vggish(tmp_path / "vggish")
    sound = np.random.default_rng(2).uniform(-1, 1, samples).astype(np.float32)
    side = VGGISH.configured(Settings(backend="onnx")).open(folder)
    close(side.network.encode(sound), VGGISH.load(folder).encode(sound))


def test_a_network_of_sound_with_a_spectrogram(tmp_path: Path) -> None:
    mel = np.abs(np.random.default_rng(3).standard_normal((257, 16))).astype(np.float32)

    def embed(waveform: Any) -> Any:
        spectrum = tf.abs(tf.signal.stft(waveform, 400, 160, fft_length=512))
        frames = tf.signal.frame(tf.math.log(tf.matmul(spectrum, mel) + 0.001), 96, 48, axis=0)
        return tf.reduce_mean(frames, 1)

    name = saved(tmp_path / "mel", embed, [None])
    mine, theirs = (opened(name, "audio", backend=one) for one in ("onnx", "tensorflow"))
    close(mine.network.encode(SOUND), theirs.network.encode(SOUND))
    assert (mine.encoder.window_ms, mine.encoder.step_ms) == (975, 480)
    assert theirs.encoder.step_ms == 480


@pytest.mark.parametrize("dtype", [tf.float32, tf.uint8])
@pytest.mark.parametrize("batch", [None, 5])
def test_saved_models_of_frames(tmp_path: Path, dtype: Any, batch: int | None) -> None:
    matrix = np.random.default_rng(4).standard_normal((3, 6)).astype(np.float32)

    def embed(frames: Any) -> Any:
        return tf.matmul(tf.reduce_mean(tf.cast(frames, tf.float32), [1, 2]), matrix)

    name = saved(tmp_path / "frames", embed, [batch, 32, 32, 3], dtype)
    mine, theirs = (opened(name, backend=one) for one in ("onnx", "tensorflow"))
    close(mine.network.encode(FRAMES), theirs.network.encode(FRAMES))
    assert mine.network.batch == batch or batch is None


def unknown_to_onnx(frames: Any) -> Any:
    words = tf.strings.as_string(tf.reduce_mean(frames, [1, 2]))
    return tf.cast(tf.strings.to_hash_bucket_fast(words, 100), tf.float32)


def never_the_same(frames: Any) -> Any:
    return tf.reduce_mean(frames, [1, 2]) + tf.random.uniform([3])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (unknown_to_onnx, "does not export to ONNX, which lacks StringToHashBucketFast"),
        (
            never_the_same,
            "of the largest value when ONNX Runtime computes it, and 0.0001 is the most",
        ),
    ],
)
def test_a_network_that_onnx_runtime_does_not_compute(
    exports: Path, tmp_path: Path, call: Callable[[Any], Any], said: str
) -> None:
    name = saved(tmp_path / "frames", call, [None, 32, 32, 3])
    found = problem(name, backend="onnx")
    assert found.startswith("saved_model:frames ")
    assert found.endswith(f"{said}: take --backend tensorflow")
    side = opened(name)
    [note] = side.network.notes
    assert note.startswith("saved_model:frames: by TensorFlow on cpu, for it ")
    assert note.endswith(said)
    assert side.encoder.facts["backend"] == "tensorflow"
    assert not exports.exists()


def truncate(exports: Path) -> None:
    [model] = exports.glob("*.onnx")
    model.write_bytes(model.read_bytes()[:-10])


def change(exports: Path) -> None:
    [model] = exports.glob("*.onnx")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def remove(exports: Path) -> None:
    [model] = exports.glob("*.onnx")
    model.unlink()


def lie(exports: Path) -> None:
    [record] = exports.glob("*.json")
    content = json.loads(record.read_text())
    content["facts"]["feeding"]["width"] = 9
    record.write_text(json.dumps(content))


def garble(exports: Path) -> None:
    [record] = exports.glob("*.json")
    record.write_bytes(b"\xff{[")


def replace_by_a_list(exports: Path) -> None:
    [record] = exports.glob("*.json")
    record.write_text("[1]")


def replace_by_a_folder(exports: Path) -> None:
    [model] = exports.glob("*.onnx")
    model.unlink()
    model.mkdir()


@pytest.mark.parametrize(
    "damage",
    [truncate, change, remove, replace_by_a_folder, lie, garble, replace_by_a_list],
)
def test_a_damaged_export_is_made_again(
    exports: Path, tiny: Path, damage: Callable[[Path], None]
) -> None:
    first = opened(f"keras:{tiny}").network.encode(FRAMES)
    damage(exports)
    side = opened(f"keras:{tiny}")
    np.testing.assert_array_equal(side.network.encode(FRAMES), first)
    [note] = side.network.notes
    assert "exported again, for what was kept of it is damaged; at most" in note
    assert "exported before" in opened(f"keras:{tiny}").network.notes[0]


def test_an_export_that_cannot_be_kept(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("AVMIT_CACHE", str(tmp_path / "file"))
    [note] = opened(f"keras:{tiny}").network.notes
    assert f"exported now, not kept ({tmp_path}/file/onnx: Not a directory); at most" in note


def test_other_weights_are_another_export(exports: Path, tmp_path: Path) -> None:
    folders = [networks.save_vggish(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    shutil.copytree(folders[0], tmp_path / "same")
    sides = [VGGISH.open(folder) for folder in (*folders, tmp_path / "same")]
    assert ["before" in side.network.notes[0] for side in sides] == [False, False, True]
    assert not np.array_equal(*(side.network.encode(SOUND) for side in sides[:2]))


def test_a_class_whose_code_changed_is_another_export(exports: Path, tmp_path: Path) -> None:
    code = """
import keras

@keras.saving.register_keras_serializable("avmit_tests")
class Scaled(keras.layers.Layer):
    def call(self, frames):
        return frames * FACTOR
"""
    for factor in ("2.0", "3.0"):
        (tmp_path / factor).mkdir()
        (tmp_path / factor / "scaled.py").write_text(code.replace("FACTOR", factor))
    paths = [tmp_path / factor / "scaled.py" for factor in ("2.0", "3.0")]
    registry.added_by_modules(paths[:1])
    inputs = keras.Input((32, 32, 3))
    scaled = keras.saving.get_registered_object("avmit_tests>Scaled")()(inputs)
    path = tmp_path / "scaled.keras"
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(scaled)).save(path)
    twice = opened(f"keras:{path}").network.encode(FRAMES)
    registry.added_by_modules(paths[1:])
    close(opened(f"keras:{path}").network.encode(FRAMES), twice * 1.5)


def test_the_first_videos_decide_whether_they_are_the_same(exports: Path, tmp_path: Path) -> None:
    """A network that computes in another way where it is bright, which noise does not show."""

    def embed(frames: Any) -> Any:
        bright = tf.cast(tf.reduce_mean(frames) > 0.9, tf.float32)
        return tf.reduce_mean(frames, [1, 2]) + bright * tf.random.uniform([3])

    encoder = registry.find(
        saved(tmp_path / "frames", embed, [None, 32, 32, 3]), "visual", Settings(backend="onnx")
    )

    def bright(form: Form) -> Iterator[Any]:
        yield np.full((7, 32, 32, 3), 255, np.uint8)

    with pytest.raises(AvmitError, match="of the largest value when ONNX Runtime computes it"):
        encoder.open(None, lambda form: (one for _ in range(9) for one in bright(form)))
    assert not exports.exists()
    encoder.open()


def test_nothing_is_told_to_those_who_made_onnx_runtime(
    tiny: Path, tmp_path: Path, nothing_registered: None
) -> None:
    opened(f"keras:{tiny}", backend="onnx")
    variables = {name: value for name, value in os.environ.items() if name != "CI"}
    del variables["ORT_DISABLE_TELEMETRY"]
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        variables[name] = str(tmp_path / name)
    command = ["-m", "avmit_cli", "encoders", "check", f"keras:{tiny}"]
    ran = subprocess.run(
        [sys.executable, *command], env=variables, cwd=ROOT, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "by ONNX Runtime on cpu, exported before" in ran.stdout
    assert [*(tmp_path / "HOME").rglob("*")] == []
    assert [*(tmp_path / "XDG_CACHE_HOME").rglob("*")] == []


def test_without_onnx_runtime(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = "pip install 'avmit[extraction]'"
    assert problem(f"keras:{tiny}", backend="onnx") == (
        f"onnxruntime is not installed or does not load: {said}"
    )
    assert opened(f"keras:{tiny}").network.notes == (
        f"keras:tiny.keras: by TensorFlow on cpu; {said} for ONNX Runtime, which is faster on CPUs",
    )


def test_a_device_that_is_not_there(tiny: Path) -> None:
    for backend in ("auto", "tensorflow"):
        assert problem(f"keras:{tiny}", backend=backend, device="cuda") == (
            "--device cuda: TensorFlow finds none here; --device auto takes what is"
        )
    found = problem(f"keras:{tiny}", backend="onnx", device="cuda")
    assert found.startswith("--device cuda: onnxruntime ")
    assert problem(f"keras:{tiny}", backend="torch") == (
        "'torch' is no backend: choose from auto, tensorflow, onnx"
    )


def test_weights_of_another_network_are_refused_by_any_backend(
    exports: Path, tmp_path: Path
) -> None:
    networks.tiny_model(width=9).save_weights(tmp_path / "other.weights.h5")
    narrow = networks.save_vggish(tmp_path / "narrow", width=64)
    for backend in get_args(Backend):
        settings = Settings(backend=backend)
        with pytest.raises(AvmitError, match="does not hold the weights of tiny"):
            networks.TINY.configured(settings).open(tmp_path / "other.weights.h5")
        with pytest.raises(AvmitError, match=r"shape \(3, 64\), vggish \(T, 128\)"):
            VGGISH.configured(settings).open(narrow)
    assert not exports.exists()


def test_weights_that_keras_fetched_are_found_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "tiny.weights.h5"
    networks.tiny_model().save_weights(path)
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    encoder = replace(networks.TINY, md5=md5)
    assert encoder.find_weights(None) == path
    close(encoder.open().network.encode(FRAMES), encoder.load(path).encode(FRAMES))
    path.write_bytes(b"damaged")
    with pytest.raises(AvmitError, match="cannot fetch the weights of tiny"):
        encoder.open()


def test_the_check_tells_what_computes(exports: Path, tiny: Path, run: Run) -> None:
    for options, told in (
        ([], "by ONNX Runtime on cpu, exported now; at most "),
        (["--backend", "tensorflow"], "by TensorFlow on cpu\n"),
        (["--backend", "onnx", "--device", "cpu"], "by ONNX Runtime on cpu, exported before; "),
    ):
        ran = run("encoders", "check", f"keras:{tiny}", *options)
        assert (ran.code, ran.err) == (0, "")
        assert f"\nkeras:tiny.keras: {told}" in ran.out
    assert run("encoders", "check", f"keras:{tiny}", "--backend", "jax").code == 2


def test_many_may_keep_and_look_up_at_a_time(exports: Path) -> None:
    identity = {"of": "all"}

    def work(seed: int) -> None:
        model = np.random.default_rng(seed % 3).bytes(10_000)
        for _ in range(20):
            keep(identity, model, {"seed": seed % 3})
            found = look_up(identity)
            assert found is not None
            assert found.model.read_bytes() == np.random.default_rng(found.facts["seed"]).bytes(
                10_000
            )

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert look_up({"of": "nothing"}) is None
    next(exports.glob("*.json")).write_text("{}")
    with pytest.raises(DamagedError):
        look_up(identity)
