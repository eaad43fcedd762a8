"""Tiny models of transformers, made from configs with seeded random weights, and saved locally."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf

# Threads that wait for each other cost more than these networks do.
torch.set_num_threads(2)

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
IMAGE = {**SMALL, "image_size": 32, "patch_size": 8}
SQUARE = {"height": 32, "width": 32}
CROPPED = {"size": {"shortest_edge": 40}, "crop_size": SQUARE}


def _vit() -> Any:
    # As a classifier, which is how most are published: without a pooler.
    return hf.ViTForImageClassification(hf.ViTConfig(**IMAGE))


def _dinov2() -> Any:
    return hf.Dinov2Model(hf.Dinov2Config(**{**IMAGE, "mlp_ratio": 2}))


def _clip() -> Any:
    text = {**SMALL, "vocab_size": 99, "projection_dim": 16}
    vision = {**IMAGE, "projection_dim": 16}
    return hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))


def _clip_vision() -> Any:
    return hf.CLIPVisionModelWithProjection(hf.CLIPVisionConfig(**IMAGE, projection_dim=16))


def _siglip() -> Any:
    text = {**SMALL, "vocab_size": 99}
    return hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=IMAGE))


def _resnet() -> Any:
    config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1])
    return hf.ResNetModel(config)


def _convnext() -> Any:
    config = hf.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    return hf.ConvNextModel(config)


def _videomae() -> Any:
    return hf.VideoMAEModel(hf.VideoMAEConfig(**IMAGE, num_frames=4))


def _timesformer() -> Any:
    return hf.TimesformerModel(hf.TimesformerConfig(**IMAGE, num_frames=4))


def _ast() -> Any:
    return hf.ASTModel(hf.ASTConfig(**SMALL, max_length=320, num_mel_bins=32))


_WAVES = {
    **SMALL,
    "conv_dim": (8, 8, 8),
    "conv_stride": (5, 8, 8),
    "conv_kernel": (10, 8, 8),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


def _wav2vec2() -> Any:
    return hf.Wav2Vec2Model(hf.Wav2Vec2Config(**_WAVES))


def _hubert() -> Any:
    return hf.HubertModel(hf.HubertConfig(**_WAVES))


def _wavlm() -> Any:
    return hf.WavLMModel(hf.WavLMConfig(**_WAVES))


def _whisper() -> Any:
    config = hf.WhisperConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        vocab_size=99,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return hf.WhisperModel(config)


def _clap() -> Any:
    audio = {
        "window_size": 4,
        "num_mel_bins": 64,
        "spec_size": 128,
        "hidden_size": 32,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1, 1],
        "num_attention_heads": [2, 2, 2],
        "num_hidden_layers": 3,
        "projection_dim": 16,
        "enable_fusion": False,
    }
    text = {**SMALL, "vocab_size": 99, "projection_dim": 16}
    return hf.ClapModel(hf.ClapConfig(audio_config=audio, text_config=text, projection_dim=16))


def _bert() -> Any:
    return hf.BertModel(hf.BertConfig(**SMALL, vocab_size=99))


MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "vit": (_vit, lambda: hf.ViTImageProcessorPil(size=SQUARE)),
    "dinov2": (_dinov2, lambda: hf.BitImageProcessorPil(**CROPPED)),
    "clip": (_clip, lambda: hf.CLIPImageProcessorPil(**CROPPED)),
    "clip_vision": (_clip_vision, lambda: hf.CLIPImageProcessorPil(**CROPPED)),
    "siglip": (_siglip, lambda: hf.SiglipImageProcessorPil(size=SQUARE)),
    "resnet": (_resnet, lambda: hf.ConvNextImageProcessorPil(size={"shortest_edge": 32})),
    "convnext": (_convnext, lambda: hf.ConvNextImageProcessorPil(size={"shortest_edge": 32})),
    "videomae": (_videomae, lambda: hf.VideoMAEImageProcessorPil(**CROPPED)),
    "timesformer": (_timesformer, lambda: hf.VideoMAEImageProcessorPil(**CROPPED)),
    "ast": (_ast, lambda: hf.ASTFeatureExtractor(num_mel_bins=32, max_length=320)),
    "wav2vec2": (_wav2vec2, hf.Wav2Vec2FeatureExtractor),
    "hubert": (_hubert, hf.Wav2Vec2FeatureExtractor),
    "wavlm": (_wavlm, hf.Wav2Vec2FeatureExtractor),
    "whisper": (_whisper, hf.WhisperFeatureExtractor),
    "clap": (
        _clap,
        lambda: hf.ClapFeatureExtractor(
            max_length_s=2, truncation="rand_trunc", padding="repeatpad"
        ),
    ),
}


def save(name: str, folder: Path) -> Path:
    """Save a model with its processor, as on the Hub."""
    make, processor = MODELS[name]
    torch.manual_seed(0)
    make().save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder


def save_bert(folder: Path) -> Path:
    """Save a model of text."""
    _bert().save_pretrained(folder)
    return folder
