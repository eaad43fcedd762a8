"""Measure `avmit extract` against the published way, and against what the machine could do at best.

The clips are made here: 3 s, 256 x 256, 30 fps, stereo at 44.1 kHz; so are the networks, with
random weights (`networks.py`). First decoding, as `decoding.py` says, of these and of others with
a camera's grain. Then each pair of encoders, sound and frames, start-up apart, all in turn, the
best of several:

- usual way: decode a clip in the usual way, resampy included; then, as the published extractor,
  one eager call of Keras for each frame, and one of TensorFlow for the sound. For `hf`, a vision
  transformer of the small size and no network of sound, processor and model for each frame, as
  model cards show;
- extraction: `extraction.pipeline.embed.embed` by ONNX Runtime, and by TensorFlow;
- decoding, and each network, alone on all cores, in as many threads as in extraction; `plain` is
  the network of frames in ONNX Runtime with nothing set, on batches of 32;
- extraction / max: to the longer of decoding and networks, which cannot be below 1 + the shorter /
  the longer where both have all cores busy; / sum: to both together, which is then the best.

In brackets what each would be without the machine's other programs (`made.clips.Time`); what
leaves cores idle, as the usual way does, seems shorter than it is.

`--device cuda` computes the networks there. Then decoding sets the pace: that is measured by
threads, as extraction has them, and by processes.

    python benchmarks/extract.py --videos 64 --repeat 3
"""

import argparse
import itertools
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from decoding import (
    FreeSound,
    measure_bound,
    measure_decoding,
    measure_processes,
    resampy,
    usual_sound,
)
from made.clips import Time, cores, make_clip, times_in_turn
from made.networks import PAIRS, Eager, published

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.arrays import BATCH, split, stack
from extraction.encoders.base import Network, Side
from extraction.encoders.settings import MODALITIES, Device, Modality, Settings
from extraction.encoders.tensorflow.published import YAMNET
from extraction.extras import require
from extraction.media.forms import Frames, Sound
from extraction.media.frames import read_frames
from extraction.media.sound import read_waveform
from extraction.pipeline.embed import embed

Work = Callable[[], object]
Sides = dict[Modality, Side]


@dataclass(frozen=True)
class Run:
    """The clips, how many videos to make of them, how often, and what the networks run on."""

    clips: list[Path]
    videos: int
    repeat: int
    device: Device
    folder: Path


@dataclass(frozen=True)
class Pair:
    """An encoder of sound and one of frames, by backend; `usual` is all of a clip in the usual way.

    `plain` computes a batch of frames by ONNX Runtime with nothing set.
    """

    name: str
    usual: Callable[[Path], object]
    sides: Mapping[str, Sides]
    plain: Callable[[npt.NDArray[Any]], object] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=64, help="in a run; of vgg16 a quarter")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the best counts")
    encoders = [*PAIRS, "hf", "none"]
    parser.add_argument("--encoder", choices=encoders, action="append", help="none: decoding alone")
    parser.add_argument("--device", choices=["cpu", "cuda", "mps"], default="cpu")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    wanted = options.encoder or encoders
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [make_clip(folder / f"{number}.mp4", number) for number in range(8)]
        run = Run(clips, options.videos, options.repeat, options.device, folder)
        print(f"{cores()} cores, {run.device}, {run.videos} videos, best of {run.repeat}")
        grainy = [make_clip(folder / f"grain-{n}.mp4", n, grain=40) for n in range(4)]
        decoding = measure_decoding(clips, "motion", 3 * run.repeat)
        measure_decoding(grainy, "motion and grain", 3 * run.repeat)
        measure_bound(clips, 4 * run.videos, cores(), decoding, run.repeat)
        measure_processes(clips, 4 * run.videos, cores(), run.repeat)
        for encoder in PAIRS:
            if encoder in wanted:
                measure(published_pair(encoder, run), run)
        if "hf" in wanted:
            try:
                measure(model_card(run), run)
            except AvmitError as error:  # without that device
                print(error)


def published_pair(name: str, run: Run) -> Pair:
    """Return a pair of the published encoders, and the published way."""
    made = published(name, run.folder)
    sides: dict[str, Sides] = {}
    for backend in ("onnx", "tensorflow"):
        os.environ["AVMIT_CACHE"] = str(run.folder / name)
        settings = Settings(backend=backend, device=run.device)
        try:
            sides[backend] = {
                one: made.encoders[one].configured(settings).open(made.weights[one])
                for one in MODALITIES
            }
        except AvmitError as error:  # without that device
            print(error)
    plain = plain_session(run.folder / name, run.device) if "onnx" in sides else None
    return Pair(
        f"{made.encoders['audio'].name} + {name}", usual(made.one_frame, made.sound), sides, plain
    )


def plain_session(cache: Path, device: Device) -> Callable[[npt.NDArray[Any]], object] | None:
    """Open the exported network of frames in `cache` with nothing set."""
    if device != "cpu":
        return None
    ort = require("onnxruntime")
    for model in (cache / "onnx").glob("*.onnx"):
        session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        (taken,) = session.get_inputs()
        if len(taken.shape) == 4:
            return lambda frames: session.run(None, {taken.name: frames})
    return None


def usual(one_frame: Eager, sound: Eager) -> Callable[[Path], object]:
    """Return what decodes a clip in the usual way, and calls a network for each frame."""

    def whole(clip: Path) -> object:
        seen = [one_frame(frame) for frame in read_frames(clip)]
        return seen, sound(resampy(*usual_sound(clip)))

    return whole


def model_card(run: Run) -> Pair:
    """Return a vision transformer of the small size, and the way that model cards show."""
    torch, transformers = require("torch", "transformers"), require("transformers", "transformers")
    torch.manual_seed(0)
    folder = run.folder / "vit-small"
    config = transformers.ViTConfig(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    transformers.ViTImageProcessorPil().save_pretrained(folder)
    side = registry.find(f"hf:{folder}", "visual", Settings(device=run.device)).open()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).to(run.device)

    def one_frame(frame: npt.NDArray[Any]) -> object:
        inputs = processor(images=frame, return_tensors="pt").to(run.device)
        with torch.no_grad():
            return model(**inputs).last_hidden_state[:, 0].cpu().numpy()

    sides: Sides = {"audio": Side(YAMNET, FreeSound()), "visual": side}
    return Pair("hf:vit-small", usual(one_frame, lambda _: None), {"pytorch": sides})


def measure(pair: Pair, run: Run) -> None:
    """Print a pair's times; nothing of one that no backend computes."""
    if not pair.sides:
        return
    frames = [read_frames(clip) for clip in run.clips]
    of_a_video = len(frames[0])
    videos = run.videos // 4 if "vgg16" in pair.name else run.videos
    # Else the last batch would be filled up in extraction, and left out of the network alone.
    videos = whole_batches(videos, of_a_video)
    files: list[Path | None] = [run.clips[index % len(run.clips)] for index in range(videos)]
    works: dict[str, Work] = {"usual": partial(pair.usual, run.clips[0])}
    for backend, sides in pair.sides.items():
        works[backend] = partial(extract, files, sides)
        works[f"{backend} decoding"] = partial(decode, files, sides)
        for one, side in sides.items():
            works[f"{backend} {one}"] = compute(side, files, one)
    if pair.plain is not None:
        whole = np.concatenate([*frames] * (1 + BATCH // of_a_video))[:BATCH]
        works["plain"] = partial(pair.plain, whole)
    found = times_in_turn(works, run.repeat)
    usual_way = found["usual"]
    print(f"{pair.name}, {videos} videos of {of_a_video} frames; ms a video")
    print(f"  usual way {ms(usual_way)}, {1000 * usual_way.used:.0f} of a core")
    for backend, sides in pair.sides.items():
        each = {name: time / videos for name, time in found.items() if name.startswith(backend)}
        tell(backend, sides, each, usual_way, of_a_video)
    if pair.plain is not None:
        alone = found["plain"] / BATCH * of_a_video
        print(f"  frames by plain ONNX Runtime {ms(alone)}, {1000 * alone.used:.1f} of a core")


def whole_batches(videos: int, of_a_video: int) -> int:
    """Return the number of videos, as many or more, whose frames fill batches wholly."""
    step = BATCH // math.gcd(BATCH, of_a_video)
    return max(1, math.ceil(videos / step)) * step


def tell(
    backend: str, sides: Sides, each: Mapping[str, Time], usual_way: Time, of_a_video: int
) -> None:
    """Print the times of a backend, each for a video."""
    whole, decoding = each[backend], each[f"{backend} decoding"]
    networks = [each[f"{backend} {one}"] for one in sides]

    def ratios(kind: str) -> tuple[float, float, float]:
        took, decoded = getattr(whole, kind), getattr(decoding, kind)
        computed = sum(getattr(one, kind) for one in networks)
        faster = getattr(usual_way, kind) / took
        return faster, took / max(decoded, computed), took / (decoded + computed)

    faster, to_max, to_sum = ratios("wall")
    faster_, to_max_, to_sum_ = ratios("undisturbed")
    print(
        f"  {backend}: extraction {ms(whole)}, {1 / whole.wall:.1f} videos/s: "
        f"{faster:.1f} ({faster_:.1f}) times as fast; "
        f"/ max {to_max:.2f} ({to_max_:.2f}), / sum {to_sum:.2f} ({to_sum_:.2f})"
    )
    print(f"    decoding alone {ms(decoding)}, {1000 * decoding.used:.1f} of a core")
    for one, side in sides.items():
        alone = each[f"{backend} {one}"]
        rate = f"; {of_a_video / alone.wall:.0f} frames/s" if one == "visual" else ""
        print(f"    {side.encoder.name} alone {ms(alone)}, {1000 * alone.used:.1f} of a core{rate}")


def ms(time: Time) -> str:
    return f"{1000 * time.wall:.1f} ({1000 * time.undisturbed:.1f})"


def extract(files: list[Path | None], sides: Sides) -> None:
    for _ in embed(files, sides, cores()):
        pass


def decode(files: list[Path | None], sides: Sides) -> None:
    """Decode all files, on all cores, with what networks make of them in decoding threads."""

    def one(clip: Path | None) -> object:
        assert clip is not None
        heard, seen = sides["audio"], sides["visual"]
        form = seen.encoder.input
        assert isinstance(form, Frames)
        samples, _ = read_waveform(clip)
        frames = read_frames(clip, form.interval_ms, form.side, checked=True)
        return heard.network.prepare(samples), seen.network.prepare(frames)

    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(one, files):
            pass


def compute(side: Side, files: list[Path | None], modality: Modality) -> Work:
    """Return what computes a network alone for all files, in as many threads as in extraction."""
    network, form = side.network, side.encoder.input
    clips = [clip for clip in files[:8] if clip is not None]
    if isinstance(form, Sound):
        waveforms = [network.prepare(read_waveform(clip)[0]) for clip in clips]
        inputs: list[Any] = [waveforms[index % len(clips)] for index in range(len(files))]
    else:
        assert isinstance(form, Frames)
        taken = (read_frames(clip, form.interval_ms, form.side) for clip in clips)
        items = itertools.cycle(
            [item for frames in taken for item in split(network.prepare(frames))]
        )
        batches = len(files) * len(read_frames(clips[0], form.interval_ms)) // network.batch
        some = [stack([*itertools.islice(items, network.batch)]) for _ in range(min(batches, 16))]
        inputs = [some[index % len(some)] for index in range(batches)]
    return partial(in_threads, network, inputs)


def in_threads(network: Network, inputs: list[Any]) -> None:
    threads = network.workers if network.batch else cores()
    with ThreadPoolExecutor(threads, initializer=network.start_worker) as pool:
        for _ in pool.map(network.encode, inputs):
            pass


if __name__ == "__main__":
    main()
