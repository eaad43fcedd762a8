"""Measure training: an epoch of the paper's recogniser, ours against the authors' way, in one run.

    python benchmarks/train.py [--rows 6560] [--epochs 4] [--folder DIR]

The GRU for YAMNet and EfficientNetB0 with the paper's settings, on as many generated videos as the
paper trains on, in batches of 16; each way in a process of its own, seconds an epoch. The first one
counts from the opening of the data to the epoch's end, with the network's compilation, imports
apart; of the later ones the fastest is given. `feeding` is the same without the network, first (in
a process of its own) and later: what the data cost.

The authors' way is written anew after their description and tuned: one gzip TFRecord a video, read
and parsed in parallel, cached in memory, shuffled through a buffer of 5,000, padded, prefetched,
and `model.fit` in Keras. It goes without their mixed precision, which CPUs do slowly.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from made.packages import CONFIG, make_package
from made.releases import make_release

BATCH, STEPS, BUFFER = 16, 7, 5000
WIDTHS = (("audio", 1024), ("visual", 1280))
SEED = 0


def made() -> Any:
    from experiments.recognise.runs.settings import settings

    asked = settings(CONFIG, "recognition", "gru")
    return asked, asked.architecture(dict(WIDTHS), 16)


def ours(framework: str) -> Callable[[Path, int], list[tuple[str, float]]]:
    def measure(package: Path, epochs: int) -> list[tuple[str, float]]:
        import avmit
        from experiments.recognise.networks.architecture import initial_weights
        from experiments.recognise.networks.frameworks import network

        settings, architecture = made()
        if framework == "torch":
            pass  # the first step of an optimizer would import it
        network(architecture, initial_weights(architecture, 1), framework)  # type: ignore[arg-type]
        start = time.perf_counter()
        rows = avmit.load(CONFIG, "train", data_dir=package)
        batches = avmit.batches(rows, BATCH, timesteps=STEPS, shuffle=True)
        one = network(architecture, initial_weights(architecture, SEED), framework)  # type: ignore[arg-type]
        one.prepare(settings.optimizer)
        took = []
        for epoch in range(epochs):
            one.train(batches, (SEED, epoch))
            took.append((f"epoch {epoch + 1}", time.perf_counter() - start))
            start = time.perf_counter()
        took.append(("feeding", passed(batches)))
        return took

    return measure


def passed(batches: Iterable[Any]) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def theirs(release: Path, epochs: int) -> list[tuple[str, float]]:
    import tensorflow as tf

    from experiments.recognise.networks.architecture import initial_weights
    from experiments.recognise.networks.keras import KerasNetwork

    settings, architecture = made()
    names = [str(path) for path in sorted((release / "loose").rglob("*.tfrecord"))]
    classes = sorted({Path(name).parent.name for name in names})
    tf.constant(0)  # the runtime starts

    def parse(serialized: Any) -> Any:
        context, lists = tf.io.parse_single_sequence_example(
            serialized,
            {"label": tf.io.FixedLenFeature([], tf.string)},
            {
                name: tf.io.FixedLenSequenceFeature([], tf.string)
                for name in ("audio", "visual_object")
            },
        )
        inputs = {
            name: tf.reshape(tf.io.decode_raw(lists[key], tf.float32), [-1, width])
            for (name, width), key in zip(WIDTHS, ("audio", "visual_object"), strict=True)
        }
        return inputs, table.lookup(context["label"])

    start = time.perf_counter()
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(classes, tf.range(len(classes), dtype=tf.int64)), -1
    )
    shapes = {name: [STEPS, width] for name, width in WIDTHS}
    data = tf.data.TFRecordDataset(names, "GZIP", num_parallel_reads=tf.data.AUTOTUNE)
    data = data.map(parse, tf.data.AUTOTUNE, deterministic=False).cache()
    data = data.shuffle(BUFFER, SEED).padded_batch(BATCH, (shapes, [])).prefetch(tf.data.AUTOTUNE)
    one = KerasNetwork(architecture, initial_weights(architecture, SEED))
    one.prepare(settings.optimizer)
    took = []
    for epoch in range(epochs):
        one.model.fit(data, epochs=epoch + 1, initial_epoch=epoch, verbose=0)
        took.append((f"epoch {epoch + 1}", time.perf_counter() - start))
        start = time.perf_counter()
    took.append(("feeding", passed(data)))
    return took


WAYS: dict[str, Callable[[Path, int], list[tuple[str, float]]]] = {
    "ours, Keras": ours("keras"),
    "ours, PyTorch": ours("torch"),
    "the authors' way": theirs,
}


def apart(way: str, place: Path, epochs: int) -> dict[str, float]:
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import train; from pathlib import Path;"
        "took = train.WAYS[sys.argv[2]](Path(sys.argv[3]), int(sys.argv[4]));"
        "print('TOOK', json.dumps(took))"
    )
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-c", code, str(here), way, str(place), str(epochs)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if ran.returncode:
        sys.exit(ran.stderr[-3000:])
    last = [line for line in ran.stdout.splitlines() if line.startswith("TOOK ")][-1]
    return dict(json.loads(last.removeprefix("TOOK ")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6560)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avmit-train-") as temporary:
        folder = options.folder or Path(temporary)
        package = make_package(folder, options.rows)
        release = make_release(folder, options.rows)
        print(f"{options.rows} videos, batches of {BATCH}, {os.cpu_count()} cores; seconds")
        for way in WAYS:
            place = release if way == "the authors' way" else package
            took = apart(way, place, options.epochs)
            fed = apart(way, place, 0)["feeding"]
            later = min(took[f"epoch {number}"] for number in range(2, options.epochs + 1))
            print(
                f"{way:18}first epoch {took['epoch 1']:7.2f}   later ones {later:7.2f}   "
                f"feeding: first {fed:5.2f}, later {took['feeding']:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
