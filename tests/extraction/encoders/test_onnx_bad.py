"""ONNX files that cannot be encoders, and options that do not fit them, each in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from support import onnx_models as models
from support.commands import Run

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.onnx.session import open_session
from extraction.encoders.settings import Settings

VERSION = onnxruntime.__version__


def problem(path: Path, modality: Any = None, **asked: Any) -> str:
    with pytest.raises(AvmitError) as raised:
        registry.find(f"onnx:{path}", modality, Settings(**asked)).open()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_no_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    assert problem(path) == (
        f"no file {path}: onnx: takes an ONNX file, or OWNER/NAME of a repository on the Hub that "
        "has one"
    )
    assert problem(tmp_path) == (
        f"no model.onnx or onnx/model.onnx in {tmp_path}: name the file itself"
    )
    whole = models.colours(path).read_bytes()
    assert problem(tmp_path) == (
        f"no model.onnx or onnx/model.onnx in {tmp_path}; there are m.onnx: name the file itself"
    )
    for content in (b"", b"not an ONNX file at all", whole[:-40]):
        path.write_bytes(content)
        assert problem(path) == f"{path} is damaged or no ONNX file: fetch or export it again"
    path.unlink()
    path.mkdir()
    assert problem(path).startswith(f"no model.onnx or onnx/model.onnx in {path}: ")


@given(st.data())
def test_damage_is_told_or_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = models.colours(tmp_path_factory.mktemp("m") / "m.onnx", ("n", 3, 4, 4))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        registry.find(f"onnx:{path}", None).open()
    except AvmitError as error:
        assert "\n" not in str(error)


def test_of_a_format_that_is_not_known(tmp_path: Path) -> None:
    opset = models.save(
        tmp_path / "opset.onnx",
        [models.node("Relu", "x", "y")],
        {"x": ("n", 3, 8, 8)},
        {"y": ("n", 3, 8, 8)},
        opset=999,
    )
    found = problem(opset)
    assert found.startswith(f"{opset} is of opset 999, and onnxruntime {VERSION} reads ")
    assert found.endswith(" at most: pip install -U onnxruntime, or export it again at a lower one")
    later = models.save(
        tmp_path / "later.onnx",
        [models.node("Relu", "x", "y")],
        {"x": ("n", 3, 8, 8)},
        {"y": ("n", 3, 8, 8)},
        ir_version=999,
    )
    assert problem(later).startswith(f"{later} is of IR version 999, and onnxruntime {VERSION} ")
    unknown = models.save(
        tmp_path / "unknown.onnx",
        [models.node("Dream", "x", "y")],
        {"x": ("n", 3, 8, 8)},
        {"y": ("n", 3, 8, 8)},
    )
    found = problem(unknown)
    assert found.startswith(f"{unknown} is no model that onnxruntime {VERSION} can load (")
    assert "No Op registered for Dream" in found


def test_external_data(tmp_path: Path) -> None:
    path = models.colours(tmp_path / "m.onnx", external="m.onnx_data")
    (tmp_path / "m.onnx_data").rename(tmp_path / "elsewhere")
    assert problem(path) == (
        f"no file {tmp_path / 'm.onnx_data'}, in which m.onnx has its weights: lay it beside m.onnx"
    )
    (tmp_path / "m.onnx_data").write_bytes(b"short")
    assert problem(path).startswith(f"{path} ")
    for place in ("/etc/hostname", "../elsewhere"):
        model = onnx.load(path, load_external_data=False)
        for entry in model.graph.initializer[0].external_data:
            entry.value = place if entry.key == "location" else entry.value
        path.write_bytes(model.SerializeToString())
        assert problem(path) == (
            f"{path} has weights in '{place}', outside its folder: save the model again, with its "
            "external data beside it"
        )


def test_external_data_within_a_branch_is_found(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [models.node("Identity", "one", "z")],
        "inner",
        [],
        [helper.make_tensor_value_info("z", 1, [1])],
        [onnx.numpy_helper.from_array(models.weights(1), "one")],
    )
    one = inner.initializer[0]
    one.ClearField("raw_data")
    one.data_location = onnx.TensorProto.EXTERNAL
    one.external_data.add(key="location", value="inner.bin")
    path = models.save(
        tmp_path / "m.onnx",
        [models.node("If", "yes", "y", then_branch=inner, else_branch=inner)],
        {"x": ("n", 3, 8, 8)},
        {"y": ("n", 4)},
        {"yes": np.array(True)},
    )
    assert problem(path).startswith(f"no file {tmp_path / 'inner.bin'}, in which m.onnx has ")


def relu(path: Path, shape: models.Sizes, **more: Any) -> Path:
    return models.save(path, [models.node("Relu", "x", "y")], {"x": shape}, {"y": shape}, **more)


def test_inputs_that_cannot_be_given(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    spectrogram = problem(relu(path, ("n", 1024, 128)))
    assert spectrogram == (
        "onnx:m.onnx takes x float32 (?, 1024, 128), neither frames (batch, 3, side, side) or "
        "(batch, side, side, 3) nor a waveform (samples) or (batch, samples): put what makes that "
        "of them into the model, or write an encoder module around it"
    )
    for shape in (("n", 1, 96, 64), (), None, ("n", 3, 4, 4, 4, 4)):
        assert "neither frames" in problem(relu(path, shape))
    assert problem(relu(path, ("n", 3, 8, 10))) == (
        "onnx:m.onnx takes x float32 (?, 3, 8, 10): frames must be square"
    )
    assert problem(relu(path, ("n", "a", "b", "c"))) == (
        "onnx:m.onnx takes x float32 (?, ?, ?, ?), which may have its channels anywhere: name its "
        "layout with --layout nchw or nhwc"
    )
    assert problem(relu(path, ("n", 3, 8, 8)), layout="nhwc") == (
        "onnx:m.onnx takes x float32 (?, 3, 8, 8), not nhwc: leave --layout away"
    )
    for dtype in ("string", "int64"):
        models.save(
            path, [models.node("Identity", "x", "y")], {"x": ("n", 3, 8, 8)}, {}, dtype=dtype
        )
        assert problem(path) == (
            f"onnx:m.onnx takes x {dtype} (?, 3, 8, 8): an input of float32, float16, float64 or "
            "uint8 is wanted"
        )
    models.save(
        path, [models.node("Identity", "x", "y")], {"x": ("n", "samples")}, {}, dtype="uint8"
    )
    assert problem(path) == (
        "onnx:m.onnx takes x uint8 (?, ?): an input of float32, float16 or float64 is wanted"
    )


def test_several_inputs(tmp_path: Path) -> None:
    nodes = [models.node("Add", "x noise", "y")]
    sizes: dict[str, models.Sizes] = {"x": ("n", 3, 8, 8), "noise": ("n", 3, 8, 8)}
    two = models.save(tmp_path / "two.onnx", nodes, sizes, {"y": ("n", 3, 8, 8)})
    assert problem(two) == (
        "onnx:two.onnx has 2 inputs (x float32 (?, 3, 8, 8), noise float32 (?, 3, 8, 8)), one is "
        "wanted: export the part that takes frames or sound alone, or write an encoder module "
        "around it"
    )
    # One that has a value of its own need not be given.
    value = {"noise": models.weights(1, 3, 8, 8)}
    one = models.save(tmp_path / "one.onnx", nodes, sizes, {"y": ("n", 3, 8, 8)}, value)
    assert registry.find(f"onnx:{one}", None).open().encoder.width == 3
    none = models.save(
        tmp_path / "none.onnx", [models.node("Identity", "noise", "y")], {}, {}, value
    )
    assert problem(none).startswith("onnx:none.onnx has 0 inputs (none), one is wanted")


def test_the_other_modality(tmp_path: Path) -> None:
    colours = models.colours(tmp_path / "colours.onnx")
    assert problem(colours, "audio") == (
        "--audio onnx:colours.onnx: its input x float32 (?, 3, 32, 32) takes frames; name it with "
        "--visual"
    )
    sounds = models.sounds(tmp_path / "sounds.onnx", ("n", 16000))
    assert problem(sounds, "visual").endswith(
        "its input x float32 (?, 16000) takes sound; name it with --audio"
    )


def test_outputs_that_are_no_embeddings(tmp_path: Path) -> None:
    several = models.vectors(tmp_path / "several.onnx")
    listed = "there are tokens (?, 3, 5), map (?, 5, 4, 4), pooled (?, 5): pick one with "
    assert problem(several) == f"onnx:several.onnx has 3 outputs; {listed}--visual-output"
    assert problem(several, output="3") == (
        f"onnx:several.onnx has no output '3'; {listed}--visual-output"
    )
    assert problem(several, output="map", pooling="cls") == (
        "output map of onnx:several.onnx has no vector for the whole: choose --visual-pooling mean "
        "or none"
    )
    assert problem(several, output="pooled", pooling="mean") == (
        "output pooled of onnx:several.onnx is (8, 5), one vector of each: leave --visual-pooling "
        "away"
    )
    flat = models.save(
        tmp_path / "flat.onnx",
        [models.node("ReduceMean", "x", "y", axes=[1, 2, 3], keepdims=0)],
        {"x": ("n", 3, 8, 8)},
        {"y": ("n",)},
    )
    assert problem(flat) == (
        "output y of onnx:flat.onnx is (8), not (8, width) or (8, vectors, width): pick another "
        "with --visual-output"
    )
    counted = models.save(
        tmp_path / "counted.onnx",
        [models.node("ArgMax", "x", "y", axis=1)],
        {"x": ("n", 3, 8, 8)},
        {"y": None},
    )
    model = onnx.load(counted)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    counted.write_bytes(model.SerializeToString())
    assert problem(counted) == (
        "onnx:counted.onnx has no output of floats, but y tensor(int64): export it with one"
    )


def test_an_output_without_a_fixed_width(tmp_path: Path) -> None:
    """How many values there are hangs on what is seen."""
    nodes = [
        models.node("ReduceMean", "x", "mean", axes=[0, 1, 2, 3], keepdims=0),
        models.node("Greater", "x mean", "bright"),
        models.node("Reshape", "bright flat", "bright_flat"),
        models.node("Compress", "x bright_flat", "values"),
        models.node("Reshape", "values rows", "y"),
    ]
    constants = {"flat": np.array([-1]), "rows": np.array([1, -1])}
    path = models.save(
        tmp_path / "m.onnx", nodes, {"x": (1, 3, 8, 8)}, {"y": (1, "bright")}, constants
    )
    found = problem(path)
    assert found.startswith("output y of onnx:m.onnx is ")
    assert found.endswith(" before: pick one of a fixed width with --visual-output")


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    path = models.save(
        tmp_path / "m.onnx",
        [models.node("Log", "x", "log"), models.node("ReduceMean", "log", "y", axes=[2, 3])],
        {"x": ("n", 3, 8, 8)},
        {"y": None},
    )
    assert problem(path, normalize="-1:0") == (
        "output y of onnx:m.onnx has values that are no numbers: mend the model, or export it as "
        "float32"
    )


def test_shapes_that_the_model_does_not_take_after_all(tmp_path: Path) -> None:
    """The shape leaves the side open, the weights do not."""
    nodes = [
        models.node("Flatten", "x", "flat"),
        models.node("MatMul", "flat matrix", "y"),
    ]
    path = models.save(
        tmp_path / "m.onnx",
        nodes,
        {"x": ("n", 3, "h", "w")},
        {"y": ("n", 4)},
        {"matrix": models.weights(3 * 8 * 8, 4)},
    )
    found = problem(path)
    assert found.startswith("onnx:m.onnx does not take frames of 224 x 224 (")
    assert found.endswith(": give another --frame-side, or export it with the size that it takes")
    assert registry.find(f"onnx:{path}", None, Settings(frame_side=8)).open().encoder.width == 4
    sound = models.sounds(tmp_path / "s.onnx", ("n", "samples"))
    found = problem(sound, window_s=0.001)
    assert found.startswith("onnx:s.onnx does not take windows of 16 samples (")
    assert found.endswith(": give another --window-s, or export it with the size that it takes")


def test_options_that_mean_nothing(run: Run, tmp_path: Path) -> None:
    models.colours(tmp_path / "m.onnx")
    models.colours(tmp_path / "bytes.onnx", dtype="uint8")
    models.sounds(tmp_path / "s.onnx", ("n", 16000))
    for options, said in (
        (
            ("m.onnx", "--normalize", "1:0"),
            "--visual-normalize 1:0: give a range of pixels such as 0:1, their mean/standard "
            "deviation from 0 to 1 such as 0.5/0.5, or imagenet, clip or caffe",
        ),
        (
            ("s.onnx", "--normalize", "imagenet"),
            "--audio-normalize imagenet: give a range of samples such as -1:1 or -32768:32768, or "
            "zscore for mean 0 and variance 1",
        ),
        (
            ("bytes.onnx", "--normalize", "imagenet"),
            "onnx:bytes.onnx takes x uint8 (?, 3, 32, 32), so pixels stay 0 to 255: leave "
            "--visual-normalize away",
        ),
        (
            ("m.onnx", "--frame-side", "64"),
            "onnx:m.onnx takes x float32 (?, 3, 32, 32), not --frame-side 64: leave it away",
        ),
        (("m.onnx", "--window-s", "1"), "--window-s is not for onnx:m.onnx: leave it away"),
        (
            ("m.onnx", "--sample-rate", "8000"),
            "--sample-rate is not for onnx:m.onnx: leave it away",
        ),
        (("s.onnx", "--window-s", "1"), "--window-s is not for onnx:s.onnx: leave it away"),
        (("m.onnx", "--precision", "float16"), "--precision is not for onnx:m.onnx: leave it away"),
    ):
        ran = run("encoders", "check", f"onnx:{options[0]}", *options[1:])
        assert (ran.code, ran.out, ran.err) == (1, "", f"avmit: {said}\n")
    ran = run("encoders", "check", "vggish", "--normalize", "zscore")
    assert ran.err == "avmit: --audio-normalize is not for vggish: leave it away\n"


def test_devices_that_are_not_there(tmp_path: Path) -> None:
    path = models.colours(tmp_path / "m.onnx")
    there = onnxruntime.get_available_providers()
    for device, provider, remedy in (
        ("cuda", "CUDAExecutionProvider", "onnxruntime-gpu"),
        ("mps", "CoreMLExecutionProvider", "a Mac"),
    ):
        if provider in there:
            continue
        found = problem(path, device=device)
        assert found.startswith(f"--device {device}: onnxruntime {VERSION} has cpu here; {device} ")
        assert remedy in found
        assert found.endswith("; --device auto takes what is there")


def test_onnxruntime_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = models.colours(tmp_path / "m.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    expected = "onnxruntime is not installed or does not load: pip install 'avmit[onnx]'"
    assert problem(path) == expected
    with pytest.raises(AvmitError, match=r"pip install 'avmit\[onnx\]'$"):
        open_session(path)


@pytest.mark.parametrize(
    "config",
    [
        {"image_mean": [0.5], "image_std": [0.5]},
        {"image_mean": [0.5] * 3, "image_std": [0.5, 0.5, 0]},
        {"image_mean": ["a"] * 3, "image_std": [1] * 3},
        {"rescale_factor": "1/255", "do_normalize": False},
        {"rescale_factor": 1 / 127.5, "offset": True},
    ],
)
def test_settings_beside_a_model_that_are_not_known(tmp_path: Path, config: Any) -> None:
    path = models.colours(tmp_path / "m.onnx")
    beside = tmp_path / "preprocessor_config.json"
    beside.write_text(json.dumps(config))
    found = problem(path)
    assert found.startswith("the model's preprocessor_config.json has no ")
    assert found.endswith(" that is known here: say what is done with --visual-normalize")
    assert registry.find(f"onnx:{path}", None, Settings(normalize="0:1")).open().encoder.width == 8
    for content in ("{", "[]"):
        beside.write_text(content)
        assert problem(path).startswith(f"{beside} is no")
