"""`hf:` encoders against their models called by hand, one input at a time."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers as hf
from support import transformers_models as models

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.base import Side, matrices
from extraction.encoders.contract import check_side
from extraction.encoders.settings import Settings
from extraction.media.forms import Clips, Frames, Sound

Made = Callable[[str], Path]

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 48, 60, 3), dtype=np.uint8)
CLIPS = np.random.default_rng(1).integers(0, 256, (3, 4, 48, 60, 3), dtype=np.uint8)
SOUND = np.random.default_rng(2).uniform(-0.5, 0.5, 48000).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model of tests/models.py in a folder, made at the first call."""
    root = tmp_path_factory.mktemp("models")
    return lambda name: root / name if (root / name).exists() else models.save(name, root / name)


def opened(folder: Path, **settings: Any) -> Side:
    return registry.find(f"hf:{folder}", None, Settings(**settings)).open()


def embed(side: Side, taken: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
    return matrices(side.network.encode(side.network.prepare(taken)))


def by_hand(
    model: Any, processor: Any, pool: Callable[[Any], Any], *inputs: Any, **more: Any
) -> Any:
    rows = []
    for one in inputs:
        with torch.inference_mode():
            rows.append(pool(model(**processor(one, return_tensors="pt", **more)))[0])
    return torch.stack(rows).numpy()


IMAGE_MODELS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "vit": (hf.ViTModel, lambda out: out.last_hidden_state[:, 0]),
    "dinov2": (hf.Dinov2Model, lambda out: out.last_hidden_state[:, 0]),
    "clip": (hf.CLIPVisionModelWithProjection, lambda out: out.image_embeds),
    "clip_vision": (hf.CLIPVisionModelWithProjection, lambda out: out.image_embeds),
    "siglip": (hf.SiglipVisionModel, lambda out: out.pooler_output),
    "resnet": (hf.ResNetModel, lambda out: out.pooler_output[:, :, 0, 0]),
    "convnext": (hf.ConvNextModel, lambda out: out.pooler_output),
}


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_image_models(name: str, made: Made) -> None:
    model_class, pool = IMAGE_MODELS[name]
    model = model_class.from_pretrained(made(name)).eval()
    processor = hf.AutoImageProcessor.from_pretrained(made(name), backend="pil")
    side = opened(made(name))
    assert side.encoder.input == Frames(None)
    assert (side.encoder.step_ms, side.encoder.window_ms) == (480, 0)
    expected = by_hand(model, processor, pool, *IMAGES)
    close(np.concatenate(embed(side, IMAGES)), expected)
    assert side.encoder.width == expected.shape[1]


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        ("videomae", lambda out: out.last_hidden_state.mean(1)),
        ("timesformer", lambda out: out.last_hidden_state[:, 0]),
    ],
)
def test_video_models(name: str, pool: Any, made: Made) -> None:
    model = hf.AutoModel.from_pretrained(made(name)).eval()
    processor = hf.AutoImageProcessor.from_pretrained(made(name), backend="pil")
    side = opened(made(name))
    assert side.encoder.input == Clips(4, None)
    assert (side.encoder.step_ms, side.encoder.window_ms) == (None, None)
    expected = by_hand(model, processor, pool, *(list(clip) for clip in CLIPS))
    close(np.concatenate(embed(side, CLIPS)), expected)


@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "wavlm"])
def test_speech_models_hear_windows(name: str, made: Made) -> None:
    model = hf.AutoModel.from_pretrained(made(name)).eval()
    extractor = hf.AutoFeatureExtractor.from_pretrained(made(name))
    side = opened(made(name))
    assert side.encoder.input == Sound(16000, 0.96, 0.48)
    windows = np.stack([SOUND[at : at + 15360] for at in range(0, 48000 - 15360 + 1, 7680)])
    assert len(windows) == 5
    pool = lambda out: out.last_hidden_state.mean(1)  # noqa: E731
    expected = by_hand(model, extractor, pool, *windows, sampling_rate=16000)
    close(np.concatenate(embed(side, windows)), expected)


@pytest.mark.parametrize(
    ("name", "model_class", "pool", "rate", "length"),
    [
        ("ast", hf.ASTModel, lambda out: out.pooler_output, 16000, 3.2),
        ("clap", hf.ClapAudioModelWithProjection, lambda out: out.audio_embeds, 48000, 2.0),
    ],
)
def test_models_of_spectrograms_hear_their_own_length(
    name: str, model_class: Any, pool: Any, rate: int, length: float, made: Made
) -> None:
    model = model_class.from_pretrained(made(name)).eval()
    extractor = hf.AutoFeatureExtractor.from_pretrained(made(name))
    side = opened(made(name))
    assert side.encoder.input == Sound(rate, length, length, pad=False)
    for samples in (SOUND[:32000], SOUND[:5000]):
        expected = by_hand(model, extractor, pool, samples, sampling_rate=rate)
        close(np.concatenate(embed(side, samples[None])), expected)


def test_whisper_leaves_the_padding_out(made: Made) -> None:
    model = hf.WhisperModel.from_pretrained(made("whisper")).eval().get_encoder()
    extractor = hf.AutoFeatureExtractor.from_pretrained(made("whisper"))
    side, whole = opened(made("whisper")), opened(made("whisper"), pooling="none")
    assert side.encoder.input == Sound(16000, 30.0, 30.0, pad=False)
    for seconds, kept in ((3.0, 150), (0.5, 25), (1.011, 51)):
        samples = SOUND[: round(16000 * seconds)]
        heard = by_hand(model, extractor, lambda out: out[0], samples, sampling_rate=16000)
        close(embed(side, samples[None])[0], heard[:, :kept].mean(1))
        close(embed(whole, samples[None])[0], heard[0, :kept])


def test_pooling(made: Made) -> None:
    model = hf.ViTModel.from_pretrained(made("vit"), add_pooling_layer=False).eval()
    processor = hf.AutoImageProcessor.from_pretrained(made("vit"), backend="pil")
    vectors = by_hand(model, processor, lambda out: out.last_hidden_state, *IMAGES)
    assert vectors.shape == (5, 17, 32)
    close(np.concatenate(embed(opened(made("vit"), pooling="cls"), IMAGES)), vectors[:, 0])
    close(
        np.concatenate(embed(opened(made("vit"), pooling="mean"), IMAGES)), vectors[:, 1:].mean(1)
    )
    every = opened(made("vit"), pooling="none")
    assert every.encoder.vectors == 17
    close(np.stack(embed(every, IMAGES)), vectors)


def test_pooling_over_an_image_of_channels(made: Made) -> None:
    model = hf.ResNetModel.from_pretrained(made("resnet")).eval()
    processor = hf.AutoImageProcessor.from_pretrained(made("resnet"), backend="pil")
    channels = by_hand(model, processor, lambda out: out.last_hidden_state, *IMAGES)
    mean = embed(opened(made("resnet"), pooling="mean"), IMAGES)
    close(np.concatenate(mean), channels.mean((2, 3)))
    every = embed(opened(made("resnet"), pooling="none"), IMAGES)
    close(np.stack(every), channels.reshape(5, 24, -1).transpose(0, 2, 1))
    with pytest.raises(AvmitError, match="no vector for the whole: choose --visual-pooling mean"):
        registry.find(f"hf:{made('resnet')}", "visual", Settings(pooling="cls"))


@pytest.mark.parametrize("name", ["vit", "videomae", "wav2vec2", "whisper", "clap"])
def test_they_keep_to_the_contract(name: str, made: Made) -> None:
    assert [(what, bad) for what, bad in check_side(opened(made(name))) if bad] == []


def test_windows_as_asked_for(made: Made) -> None:
    side = opened(made("ast"), window_s=0.96, hop_s=0.48)
    assert side.encoder.input == Sound(16000, 0.96, 0.48, pad=False)
    assert opened(made("wav2vec2"), window_s=2).encoder.step_ms == 2000
    assert opened(made("vit"), interval_ms=100).encoder.step_ms == 100
    assert opened(made("videomae"), window_s=1, hop_s=0.5).encoder.window_ms == 1000
    with pytest.raises(AvmitError, match="--window-s 31: this network takes 30 s at most"):
        opened(made("whisper"), window_s=31)
    with pytest.raises(AvmitError, match="--hop-s -1: give a number above 0"):
        Settings(hop_s=-1)


def test_precision(made: Made) -> None:
    exact, rough = (
        np.concatenate(embed(opened(made("vit"), precision=precision), IMAGES))
        for precision in ("float32", "bfloat16")
    )
    assert rough.dtype == np.float32
    assert not np.array_equal(exact, rough)
    # bfloat16 has eight bits of mantissa.
    np.testing.assert_allclose(rough, exact, atol=0.05 * np.abs(exact).max())


def test_a_batch_that_does_not_fit_is_halved(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    side = opened(made("vit"))
    expected = np.concatenate(embed(side, IMAGES))
    network: Any = side.network

    def only(most: int) -> Callable[..., None]:
        def refuse(module: Any, inputs: Any, named: dict[str, Any]) -> None:
            if len(named["pixel_values"]) > most:
                raise torch.OutOfMemoryError("out of memory")

        return refuse

    hook = network.model.register_forward_pre_hook(only(3), with_kwargs=True)
    close(np.concatenate(embed(side, IMAGES)), expected)
    assert capsys.readouterr().err.splitlines() == [
        "avmit: hf:vit: out of memory with 8 at a time, going on with 4",
        "avmit: hf:vit: out of memory with 4 at a time, going on with 2",
    ]
    close(np.concatenate(embed(side, IMAGES)), expected)
    assert capsys.readouterr().err == ""
    hook.remove()
    network.model.register_forward_pre_hook(only(0), with_kwargs=True)
    with pytest.raises(AvmitError, match="cpu has not enough memory for a single item"):
        embed(side, IMAGES)


def test_values_that_are_no_numbers(made: Made) -> None:
    side = opened(made("vit"))
    network: Any = side.network
    network.model.layernorm.weight.data.fill_(float("nan"))
    with pytest.raises(AvmitError, match="gives values that are no numbers"):
        embed(side, IMAGES)


def test_what_is_recorded(made: Made) -> None:
    side = opened(made("vit"))
    weights = (made("vit") / "model.safetensors").read_bytes()
    assert side.network.weights_sha256 == hashlib.sha256(weights).hexdigest()
    facts = dict(side.encoder.facts)
    assert facts.pop("processor")["size"] == {"height": 32, "width": 32}
    assert facts == {
        "model_type": "vit",
        "model": "ViTModel",
        "pooling": "cls",
        "device": "cpu",
        "precision": "float32",
    }
    assert side.encoder.name == "hf:vit"


def test_weights_in_several_files(made: Made, tmp_path: Path) -> None:
    whole = hf.ViTModel.from_pretrained(made("vit"), add_pooling_layer=False)
    whole.save_pretrained(tmp_path, max_shard_size="40KB")
    hf.AutoImageProcessor.from_pretrained(made("vit"), backend="pil").save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    side = opened(tmp_path)
    close(np.concatenate(embed(side, IMAGES)), np.concatenate(embed(opened(made("vit")), IMAGES)))
    first = side.network.weights_sha256
    tensors = sorted(tmp_path.glob("*.safetensors"))[-1]
    tensors.write_bytes(tensors.read_bytes()[:-4] + b"\0\0\0\0")
    assert opened(tmp_path).network.weights_sha256 != first


def test_from_the_cache_of_the_hub(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    commit = "a" * 40
    repository = Path(constants.HF_HUB_CACHE) / "models--avmit-tests--tiny-vit"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    if not snapshot.exists():
        models.save("vit", snapshot)
    side = registry.find("hf:avmit-tests/tiny-vit", "visual").open()
    assert side.encoder.name == "hf:avmit-tests/tiny-vit"
    assert side.encoder.facts["revision"] == commit
    assert side.encoder.origin == "https://huggingface.co/avmit-tests/tiny-vit"
    close(np.concatenate(embed(side, IMAGES)), np.concatenate(embed(opened(made("vit")), IMAGES)))
    pinned = registry.find(f"hf:avmit-tests/tiny-vit@{commit}", "visual")
    assert pinned.facts["revision"] == commit


def test_a_type_that_no_table_knows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = hf.IJepaConfig(**models.IMAGE)
    hf.IJepaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    hf.ViTImageProcessorPil(size=models.SQUARE).save_pretrained(tmp_path)
    side = opened(tmp_path)
    model = hf.IJepaModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    processor = hf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    expected = by_hand(model, processor, lambda out: out.last_hidden_state.mean(1), *IMAGES)
    assert side.encoder.facts["pooling"] == "mean"
    close(np.concatenate(embed(side, IMAGES)), expected)


def test_a_model_that_guesses_is_no_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    hf.ViTMAEModel(hf.ViTMAEConfig(**models.IMAGE)).save_pretrained(tmp_path)
    hf.ViTImageProcessorPil(size=models.SQUARE).save_pretrained(tmp_path)
    with pytest.raises(AvmitError, match="gives other values at every call: it is no encoder"):
        opened(tmp_path)


def test_the_processor_is_that_of_the_folder(made: Made, tmp_path: Path) -> None:
    models.save("vit", tmp_path)
    file = tmp_path / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "image_mean": [0.1, 0.1, 0.1]}))
    other, same = (embed(opened(folder), IMAGES)[0] for folder in (tmp_path, made("vit")))
    assert np.abs(other - same).max() > 0.01


def close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
