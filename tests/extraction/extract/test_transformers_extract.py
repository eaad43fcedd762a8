"""From videos to a config with encoders of transformers, compared with the models by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
import transformers as hf
from support import transformers_models as models
from support.clips import make_clip, numbers
from support.commands import Run
from support.mit import going_on_anywhere_gives_the_same, lay_out, path_of, rows

from avmit import AvmitError
from conversion.package.manifest import read_manifest
from conversion.release.generate import generate_release
from extraction.encoders import registry
from extraction.encoders.base import Side
from extraction.encoders.settings import Modality, Settings
from extraction.extract.build import extract
from extraction.extract.options import EncoderOptions, Options
from extraction.media import forms as taking
from extraction.media.forms import Clips
from extraction.media.frames import read_frames
from extraction.media.sound import read_waveform
from extraction.pipeline import embed as pipeline

Hand = Callable[[Path, Path], Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    names = ("vit", "ast", "clip", "wav2vec2", "videomae", "whisper", "clip_vision", "clap")
    return {name: models.save(name, root / name) for name in names}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(folder / "a.mp4", rate=30),
        make_clip(folder / "b.mp4", rate=25, amplitudes=(0.4, 0.2), sample_rate=48000),
        make_clip(folder / "c.mp4", rate=10, amplitudes=None),
        make_clip(folder / "d.mp4", rate=60, seconds=2.5, sample_rate=22050, size=(96, 160)),
        make_clip(folder / "e.mp4", rate=15, seconds=0.4, amplitudes=(0.1, 0.1)),
    ]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, clips: list[Path]) -> tuple[Path, Path]:
    """The annotations of 16 videos, and the videos."""
    root = tmp_path_factory.mktemp("release")
    generate_release(root / "sources", videos_per_label=1, test_per_label=1, sets=[])
    return root / "sources", lay_out(root / "mit", root / "sources", clips)


def auto(folder: Path) -> Any:
    if "Feature" in (folder / "preprocessor_config.json").read_text():
        return hf.AutoFeatureExtractor.from_pretrained(folder)
    return hf.AutoImageProcessor.from_pretrained(folder, backend="pil")


def called(model: Any, folder: Path, taken: Any, **more: Any) -> Any:
    with torch.inference_mode():
        return model.eval()(**auto(folder)(taken, return_tensors="pt", **more))


def see_frames(model_class: Any, pool: Callable[[Any], Any]) -> Hand:
    def see(video: Path, folder: Path) -> Any:
        model = model_class.from_pretrained(folder)
        frames = read_frames(video, 480, None)
        return np.stack([pool(called(model, folder, one))[0] for one in frames])

    return see


def see_video(video: Path, folder: Path) -> Any:
    model = hf.VideoMAEModel.from_pretrained(folder)
    frames = read_frames(video, 0, None)
    at = np.clip(np.linspace(0, len(frames), 4), 0, len(frames) - 1).astype(int)
    return called(model, folder, list(frames[at])).last_hidden_state.mean(1)


def hear(model_class: Any, pool: Callable[[Any, int], Any], rate: int = 16000) -> Hand:
    def listen(video: Path, folder: Path) -> Any:
        samples, _ = read_waveform(video, rate)
        model = model_class.from_pretrained(folder)
        model = model.get_encoder() if model_class is hf.WhisperModel else model
        out = called(model, folder, samples[: 2 * 48000], sampling_rate=rate)
        return np.asarray(pool(out, len(samples)))[None]

    return listen


def hear_windows(video: Path, folder: Path) -> Any:
    model = hf.Wav2Vec2Model.from_pretrained(folder)
    samples, _ = read_waveform(video, 16000)
    samples = np.pad(samples, (0, max(0, 15360 - len(samples))))
    begins = range(0, len(samples) - 15359, 7680)
    windows = [samples[at : at + 15360] for at in begins]
    heard = [called(model, folder, window, sampling_rate=16000) for window in windows]
    return np.concatenate([out.last_hidden_state.mean(1) for out in heard])


BY_HAND: dict[str, Hand] = {
    "vit": see_frames(hf.ViTModel, lambda out: out.last_hidden_state[:, 0]),
    "clip": see_frames(hf.CLIPVisionModelWithProjection, lambda out: out.image_embeds),
    "clip_vision": see_frames(hf.CLIPVisionModelWithProjection, lambda out: out.image_embeds),
    "videomae": see_video,
    "ast": hear(hf.ASTModel, lambda out, _: out.pooler_output[0]),
    "wav2vec2": hear_windows,
    "whisper": hear(
        hf.WhisperModel, lambda out, n: out.last_hidden_state[0, : -(-n // 320)].mean(0)
    ),
    "clap": hear(hf.ClapAudioModelWithProjection, lambda out, _: out.audio_embeds[0], rate=48000),
}


@pytest.mark.parametrize(
    ("audio", "visual"),
    [("ast", "vit"), ("wav2vec2", "clip"), ("whisper", "videomae"), ("clap", "clip_vision")],
)
def test_from_videos_to_a_config(
    audio: str,
    visual: str,
    sources: tuple[Path, Path],
    made: dict[str, Path],
    tmp_path: Path,
    run: Run,
) -> None:
    annotations, videos = sources
    chosen = ["--audio", f"hf:{made[audio]}", "--visual", f"hf:{made[visual]}"]
    paths = ["--videos", videos, "--annotations", annotations, "--out", "avmit"]
    ran = run("extract", *paths, *chosen, "--config", "mine", "--workers", 2)
    assert (ran.code, ran.err) == (0, "")
    shown = ran.out.splitlines()
    assert shown[0].startswith(f"audio: hf:{audio}, width ")
    assert shown[1].startswith(f"visual: hf:{visual}, width ")
    assert run("verify", "avmit").code == 0

    loaded = datasets.load_dataset(str(tmp_path / "avmit"), "mine", cache_dir=str(tmp_path / "c"))
    by_name = {row["filename"]: row for split in loaded.values() for row in split}
    described = rows(annotations)
    assert len(by_name) == len(described) == 16
    for row in described[:5]:
        video, found = path_of(videos, row), by_name[row["filename"]]
        close(np.array(found["audio"], np.float32), BY_HAND[audio](video, made[audio]))
        close(np.array(found["visual"], np.float32), BY_HAND[visual](video, made[visual]))
    encoders = read_manifest(tmp_path / "avmit" / "mine").source["encoders"]
    assert encoders["visual"]["name"] == f"hf:{visual}"
    assert str(made[visual].parent) not in (tmp_path / "avmit/mine/manifest.json").read_text()
    assert f"| `mine` | hf:{audio} + hf:{visual} |" in (tmp_path / "avmit/README.md").read_text()


def test_going_on_anywhere_gives_the_same(
    made: dict[str, Path], clips: list[Path], tmp_path: Path
) -> None:
    sides: dict[Modality, Side] = {
        "audio": registry.find(f"hf:{made['wav2vec2']}", "audio").open(),
        "visual": registry.find(f"hf:{made['vit']}", "visual", Settings(pooling="none")).open(),
    }
    counts = going_on_anywhere_gives_the_same(clips, sides, tmp_path)
    for modality in sides:
        assert sum(one.get(modality, 0) for one in counts) > 3 * 8


def test_a_run_that_was_stopped_goes_on(
    sources: tuple[Path, Path], made: dict[str, Path], tmp_path: Path
) -> None:
    annotations, videos = sources
    encoders: dict[Modality, EncoderOptions] = {
        "audio": EncoderOptions(f"hf:{made['wav2vec2']}"),
        "visual": EncoderOptions(f"hf:{made['vit']}"),
    }
    options = Options("mine", encoders, workers=1)
    extract(videos, annotations, tmp_path / "undisturbed", options)
    decode, count = pipeline._decode, 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 12:
            raise KeyboardInterrupt
        return decode(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract(videos, annotations, tmp_path / "avmit", options)
    assert list((tmp_path / "avmit").rglob("*.spill"))
    extract(videos, annotations, tmp_path / "avmit", options)
    found, expected = (
        {path.name: path.read_bytes() for path in (tmp_path / out / "mine").iterdir()}
        for out in ("avmit", "undisturbed")
    )
    assert found == expected


def test_clips_are_evenly_spaced(clips: list[Path]) -> None:
    whole = taking.images(clips[0], Clips(4, 128))
    assert whole.shape == (1, 4, 128, 128, 3)
    # linspace(0, 90, 4), the end itself taken back.
    assert numbers(whole[0]) == [0, 30, 60, 89]
    windows = taking.images(clips[0], Clips(3, 128, window_s=1, hop_s=0.5))
    assert [numbers(clip) for clip in windows] == [
        [at, at + 15, at + 29] for at in (0, 15, 30, 45, 60)
    ]
    short = taking.images(clips[4], Clips(16, 128, window_s=1))
    assert short.shape == (1, 16, 128, 128, 3)
    assert sorted(set(numbers(short[0]))) == list(range(6))


def test_frames_keep_their_size(clips: list[Path]) -> None:
    assert read_frames(clips[3], side=None).shape[1:] == (160, 96, 3)


def test_settings_that_no_encoder_takes(sources: tuple[Path, Path], made: dict[str, Path]) -> None:
    annotations, videos = sources

    def refused(
        match: str,
        audio: str | None,
        visual: str | None,
        visual_settings: Settings,
        audio_settings: Settings | None = None,
    ) -> None:
        encoders: dict[Modality, EncoderOptions] = {
            "audio": EncoderOptions(audio, audio_settings or Settings()),
            "visual": EncoderOptions(visual, visual_settings),
        }
        with pytest.raises(AvmitError, match=match):
            extract(videos, annotations, Path("never"), Options("mine", encoders))

    vit = f"hf:{made['vit']}"
    pooled = Settings(pooling="mean")
    refused("--visual-pooling is not for efficientnet_b0", None, "efficientnet_b0", pooled)
    refused("--visual-pooling is not for ", f"hf:{made['ast']}", None, pooled)
    every = Settings(interval_ms=100)
    refused(
        "--frame-interval-ms is not for yamnet and vgg16: leave it away",
        "yamnet",
        "vgg16",
        every,
        every,
    )
    refused("--visual-weights is not for hf:vit", None, vit, Settings(weights=made["vit"]))
    refused("--window-s is not for hf:vit", None, vit, Settings(window_s=1))


def close(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
