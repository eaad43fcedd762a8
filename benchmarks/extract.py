"""Measure `avmit extract` against the published way, and against what the machine could do at best.

The clips are made here: 3 s, 256 x 256, 30 fps, stereo at 44.1 kHz. First decoding, as
`decoding.py` says, of these and of others with a camera's grain. Then for each visual encoder, with
random weights (`hf` is a vision transformer of the small size), start-up apart:

- usual: decode a clip in the usual way, resampy included, then one eager Keras call for each frame,
  as the published extractor, or processor and model for each frame, as model cards show;
- decoding: CPU seconds of frames, with what a processor makes of them, and waveform, one thread;
- network: CPU seconds of the network alone, on full batches;
- pipeline: wall seconds a video of `extraction.pipeline.embed.embed`;
- speed-up: usual / pipeline;
- overhead: pipeline / ((decoding + network) / cores); beside it the same from the pipeline's CPU
  seconds and the cores' idle ones, which other programs do not lengthen.

The audio network is left out of all of them. Run it on a machine that does nothing else:

    python benchmarks/extract.py --videos 64 --repeat 3
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from decoding import FreeSound, measure_bound, measure_decoding, resampy, usual_sound
from made_clips import best, make_clip, used_or_idle

from extraction.encoders import registry
from extraction.encoders.base import Side
from extraction.encoders.settings import Modality
from extraction.encoders.tensorflow.frames_network import KerasEncoder
from extraction.encoders.tensorflow.published import EFFICIENTNET_B0, VGG16_ENCODER, YAMNET
from extraction.extras import require
from extraction.media.forms import Frames
from extraction.media.frames import read_frames
from extraction.media.sound import read_waveform
from extraction.pipeline.embed import embed

EAGER_FRAMES = 4


@dataclass(frozen=True)
class Run:
    """The clips, and how often to measure."""

    clips: list[Path]
    videos: int
    repeat: int
    cores: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=64, help="videos in a run")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the best counts")
    encoders = ["efficientnet_b0", "vgg16", "hf", "none"]
    parser.add_argument("--encoder", choices=encoders, action="append", help="none: decoding alone")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores
    wanted = options.encoder or encoders
    with tempfile.TemporaryDirectory() as folder:
        clips = [make_clip(Path(folder, f"{number}.mp4"), number) for number in range(8)]
        run = Run(clips, options.videos, options.repeat, cores)
        print(f"{cores} cores, {options.videos} videos, best of {options.repeat}; seconds a video")
        grainy = [make_clip(Path(folder, f"grain-{n}.mp4"), n, grain=40) for n in range(4)]
        decoding = measure_decoding(clips, "motion", 3 * run.repeat)
        measure_decoding(grainy, "motion and grain", 3 * run.repeat)
        measure_bound(clips, 4 * run.videos, cores, decoding, run.repeat)
        for encoder in (EFFICIENTNET_B0, VGG16_ENCODER):
            if encoder.name in wanted:
                measure(*published(encoder, Path(folder)), run)
        if "hf" in wanted:
            measure(*model_card(Path(folder)), run)


OneFrame = Callable[[npt.NDArray[np.uint8]], object]


def published(encoder: KerasEncoder, folder: Path) -> tuple[Side, OneFrame]:
    """Return an encoder, and the published way to use its model."""
    model = build(encoder, folder / f"{encoder.name}.weights.h5")

    def one_frame(frame: npt.NDArray[np.uint8]) -> object:
        return model(frame[None].astype(np.float32), training=False).numpy()

    return encoder.open(folder / f"{encoder.name}.weights.h5"), one_frame


def model_card(folder: Path) -> tuple[Side, OneFrame]:
    """Return a vision transformer of the small size, and the way that model cards show."""
    torch, transformers = require("torch", "transformers"), require("transformers", "transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder / "vit-small")
    transformers.ViTImageProcessorPil().save_pretrained(folder / "vit-small")
    side = registry.find(f"hf:{folder / 'vit-small'}", "visual").open()
    processor = transformers.AutoImageProcessor.from_pretrained(folder / "vit-small", backend="pil")
    model = transformers.AutoModel.from_pretrained(folder / "vit-small", add_pooling_layer=False)

    def one_frame(frame: npt.NDArray[np.uint8]) -> object:
        inputs = processor(images=frame, return_tensors="pt")
        with torch.no_grad():
            return model(**inputs).last_hidden_state[:, 0].numpy()

    return side, one_frame


def measure(side: Side, one_frame: OneFrame, run: Run) -> None:
    """Print one encoder's numbers."""
    network, form = side.network, side.encoder.input
    assert isinstance(form, Frames)
    interval, size = form.interval_ms, form.side
    sides: dict[Modality, Side] = {"audio": Side(YAMNET, FreeSound()), "visual": side}
    files: list[Path | None] = [run.clips[index % len(run.clips)] for index in range(run.videos)]
    frames = read_frames(run.clips[0], interval, size)
    per_video = len(frames)
    batch = np.concatenate([frames] * (1 + network.batch // per_video))[: network.batch]
    items = network.prepare(batch)
    network.encode(items)
    read_waveform(run.clips[0])

    def decode() -> None:
        for clip in run.clips:
            read_waveform(clip)
            network.prepare(read_frames(clip, interval, size, checked=True))

    def usual_decoding() -> None:
        for clip in run.clips:
            network.prepare(read_frames(clip, interval, size))
            resampy(*usual_sound(clip))

    def one_call_a_frame() -> None:
        for frame in frames[:EAGER_FRAMES]:
            one_frame(frame)

    one_call_a_frame()
    usual_wall = best(usual_decoding, time.perf_counter, run.repeat) / len(run.clips)
    decoding = best(decode, time.process_time, run.repeat) / len(run.clips)
    eager = best(one_call_a_frame, time.perf_counter, run.repeat) / EAGER_FRAMES
    usual = usual_wall + eager * per_video
    alone = best(lambda: network.encode(items), time.process_time, 2 * run.repeat)
    alone *= per_video / network.batch

    def pipeline() -> None:
        for _ in embed(files, sides, run.cores):
            pass

    wall = best(pipeline, time.perf_counter, run.repeat) / run.videos
    used = best(pipeline, used_or_idle, run.repeat) / run.videos
    print(
        f"{side.encoder.name}: usual {usual:.3f} ({eager:.3f} a frame), "
        f"decoding {decoding:.3f} CPU, network {alone:.3f} CPU ({alone / per_video:.4f} a frame), "
        f"pipeline {wall:.3f}; speed-up {usual / wall:.1f}, "
        f"overhead {wall / ((decoding + alone) / run.cores):.2f}, "
        f"{used / (decoding + alone):.2f} without other programs",
        flush=True,
    )


def build(encoder: KerasEncoder, weights: Path) -> Any:
    """Return the encoder's model with random weights, and save those."""
    keras = require("keras")
    keras.utils.set_random_seed(0)
    model, _ = encoder.build(lambda fresh: fresh.save_weights(weights))
    return model


if __name__ == "__main__":
    main()
