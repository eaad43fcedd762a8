"""`hf:` names that lead to nothing, to another kind of model, or to what may do harm: one line."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from support import transformers_models as models
from support.blocked import run_without
from support.commands import Run

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.settings import Modality, Settings


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save("vit", tmp_path_factory.mktemp("models") / "vit")


@pytest.fixture
def folder(vit: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(vit, tmp_path / "model"))


def problem(name: object, modality: Modality | None = None, **settings: Any) -> str:
    with pytest.raises(AvmitError) as raised:
        registry.find(f"hf:{name}", modality, Settings(**settings)).open()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_text_model(tmp_path: Path) -> None:
    found = problem(models.save_bert(tmp_path / "bert"), "visual")
    assert found.startswith(
        "hf:bert is a model of type bert, which takes no images, video or sound"
    )


def test_the_other_side(vit: Path, tmp_path: Path) -> None:
    assert problem(vit, "audio") == (
        "--audio hf:vit: a model of type vit takes images; name it with --visual"
    )
    clap = models.save("clap", tmp_path / "clap")
    assert problem(clap, "visual").endswith("takes sound; name it with --audio")


def test_nothing_there(tmp_path: Path) -> None:
    assert problem(tmp_path / "none").endswith(
        "there is no such folder, and no repository on the Hub has such a name"
    )
    (tmp_path / "empty").mkdir()
    assert problem(tmp_path / "empty").startswith("no config.json in ")


def test_offline(run: Run) -> None:
    # The tests run with HF_HUB_OFFLINE.
    found = problem("somebody/something", "visual")
    assert found.startswith("cannot fetch the configuration of hf:somebody/something (")
    assert found.endswith(
        "bring the files of https://huggingface.co/somebody/something, and name their folder "
        "hf:/path/of/the/folder"
    )
    ran = run("encoders", "check", "hf:somebody/something")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "Traceback" not in ran.err


def test_only_pickled_weights(vit: Path, folder: Path) -> None:
    model = hf.ViTModel.from_pretrained(vit, add_pooling_layer=False)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    assert problem(folder) == (
        "the weights of hf:model are pickled, and loading such a file can run code: convert them "
        "to safetensors, or pass --allow-pickle if you trust them"
    )
    side = registry.find(f"hf:{folder}", None, Settings(allow_pickle=True)).open()
    safe = registry.find(f"hf:{vit}", None).open()
    assert side.encoder.width == 32
    assert side.network.weights_sha256 != safe.network.weights_sha256


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "has no weights that transformers can load (" in problem(folder)


@pytest.mark.parametrize(
    "content", [b"", b"no tensors", b"\xff" * 64], ids=["empty", "text", "bytes"]
)
def test_damaged_weights(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    assert "has no weights that transformers can load (" in problem(folder)


def test_weights_of_a_part(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file({k: v for k, v in tensors.items() if ".layer" not in k}, file, {"format": "pt"})
    assert "lacks weights of the model (" in problem(folder)


def test_no_processor(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    found = problem(folder)
    # For some types transformers knows one without a file.
    assert "has no image processor that transformers can load (" in found


def test_a_broken_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert "has no configuration that transformers can load (" in problem(folder)
    (folder / "config.json").write_text('{"model_type": "of-tomorrow"}')
    assert "has no configuration that transformers can load (" in problem(folder)


def test_an_output_that_cannot_be_told(tmp_path: Path) -> None:
    config = hf.EncodecConfig(
        num_filters=2, hidden_size=8, num_lstm_layers=1, codebook_size=16, upsampling_ratios=[4, 2]
    )
    hf.EncodecModel(config).save_pretrained(tmp_path / "codec")
    hf.EncodecFeatureExtractor(sampling_rate=24000).save_pretrained(tmp_path / "codec")
    found = problem(tmp_path / "codec", "audio")
    assert found.startswith(
        "hf:codec has no output to take as embedding by mean; there are audio_codes ("
    )
    assert found.endswith("): choose another --audio-pooling")


REMOTE = """
from pathlib import Path
from transformers import ViTConfig, ViTModel
Path({marker!r}).touch()
class OwnConfig(ViTConfig):
    model_type = "own"
class OwnModel(ViTModel):
    config_class = OwnConfig
"""


def test_remote_code_is_not_run(vit: Path, folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    marker = tmp_path / "it ran"
    weights = hf.ViTModel.from_pretrained(vit, add_pooling_layer=False).state_dict()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "own.py").write_text(REMOTE.format(marker=str(marker)))
    settings = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    own = {"model_type": "own", "auto_map": classes}
    (folder / "config.json").write_text(json.dumps({**settings, **own}))
    assert problem(folder) == (
        "hf:model has Python code of its own, which would run on this machine: read it, and pass "
        "--trust-remote-code if you trust it"
    )
    assert not marker.exists()
    side = registry.find(f"hf:{folder}", "visual", Settings(trust_remote_code=True)).open()
    assert marker.exists()
    assert side.encoder.facts["model"] == "OwnModel"
    # The checkpoint has no pooler.
    assert side.encoder.facts["pooling"] == "mean"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(vit: Path) -> None:
    assert problem(vit, device="cuda").startswith("--device cuda: PyTorch finds none here")


@pytest.mark.parametrize("module", ["torch", "transformers", "PIL"])
def test_a_missing_extra(vit: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    expected = f"{module} is not installed or does not load: pip install 'avmit[transformers]'"
    assert problem(vit) == expected


@pytest.fixture
def without(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `avmit` where modules cannot be imported."""

    def run_avmit(blocked: list[str], *arguments: object) -> subprocess.CompletedProcess[str]:
        return run_without(blocked, "-m", "avmit_cli", *arguments, cwd=tmp_path)

    return run_avmit


def test_without_tensorflow(vit: Path, without: Any) -> None:
    ran = without(["tensorflow", "keras", "kagglehub"], "encoders", "check", f"hf:{vit}")
    assert ran.returncode == 0, ran.stderr
    assert "ok     width is as declared" in ran.stdout
    ran = without(["tensorflow", "keras", "kagglehub"], "encoders", "check", "yamnet")
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "avmit: kagglehub is not installed or does not load: pip install 'avmit[extraction]'"
    ]


def test_without_pytorch(without: Any, tmp_path: Path) -> None:
    from support import tensorflow_models as networks

    model = networks.save_yamnet(tmp_path / "yamnet")
    blocked = ["torch", "transformers", "PIL", "safetensors"]
    ran = without(blocked, "encoders", "check", "yamnet", "--weights", model)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ran = without(blocked, "encoders", "check", f"hf:{model}")
    assert ran.stderr.startswith("avmit: ")
    assert ran.stderr.count("\n") == 1
