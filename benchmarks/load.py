"""Measure reading a package against its peers, each in a process of its own, in one run.

    python benchmarks/load.py [--records 6000] [--folder DIR]

Time to the first row counts from the call, without imports, and for `load_dataset` with an empty
cache; rows per second are of a whole pass that touches both arrays of every row, one row at a time
as NumPy arrays; `Arrow batches` makes those as views of the mapped shards. tf.data reads the
published TFRecords, the others the package made of them.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from made.releases import CONFIG, make_release

REPEATS = 3


def avmit_mapped(release: Path) -> Iterator[Any]:
    import avmit

    yield from avmit.load(CONFIG, "train", data_dir=release / "avmit").with_format("numpy")


def avmit_batches(release: Path) -> Iterator[Any]:
    """Yield as many rows, from batches of 64 whose arrays are views of the mapped file."""
    import avmit

    dataset = avmit.load(CONFIG, "train", data_dir=release / "avmit", columns=["audio", "visual"])
    for table in dataset.with_format("arrow").iter(64):
        arrays = {}
        for name in ("audio", "visual"):
            column = table[name].combine_chunks()
            steps = column.flatten()
            values = steps.flatten().to_numpy().reshape(-1, steps.type.list_size)
            offsets = column.offsets.to_numpy()
            arrays[name] = [
                values[a - offsets[0] : b - offsets[0]] for a, b in itertools.pairwise(offsets)
            ]
        for audio, visual in zip(arrays["audio"], arrays["visual"], strict=True):
            yield {"audio": audio, "visual": visual}


def avmit_streaming(release: Path) -> Iterator[Any]:
    import avmit

    stream = avmit.load(CONFIG, "train", data_dir=release / "avmit", streaming=True)
    yield from stream.with_format("numpy")


def plain(streaming: bool) -> Callable[[Path], Iterator[Any]]:
    def read(release: Path) -> Iterator[Any]:
        from datasets import load_dataset

        with tempfile.TemporaryDirectory(dir=release) as cache:
            options = {} if streaming else {"cache_dir": cache}
            dataset = load_dataset(
                str(release / "avmit"), CONFIG, split="train", streaming=streaming, **options
            )
            yield from dataset.with_format("numpy")

    return read


def tf_data(release: Path) -> Iterator[Any]:
    import tensorflow as tf

    lists = {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in _LISTS}

    def parse(serialized: Any) -> dict[str, Any]:
        _, many = tf.io.parse_single_sequence_example(serialized, {}, lists)
        return {_LISTS[name]: tf.io.decode_raw(many[name], tf.float32) for name in lists}

    paths = sorted(map(str, (release / "loose").rglob("*.tfrecord")))
    records = tf.data.TFRecordDataset(paths, "GZIP").map(parse).prefetch(8)
    yield from records.as_numpy_iterator()


_LISTS = {"audio": "audio", "visual_object": "visual"}
READERS: dict[str, Callable[[Path], Iterable[Any]]] = {
    "avmit.load": avmit_mapped,
    "avmit.load, Arrow batches": avmit_batches,
    "avmit.load, streaming": avmit_streaming,
    "load_dataset": plain(streaming=False),
    "load_dataset, streaming": plain(streaming=True),
    "tf.data over the TFRecords": tf_data,
}


def measure_here(name: str, release: Path) -> None:
    if name.startswith("tf.data"):
        import tensorflow  # noqa: F401 - imports are not measured
    else:
        import avmit  # noqa: F401
    start = time.perf_counter()
    rows = iter(READERS[name](release))
    row = next(rows)
    first = time.perf_counter() - start
    count = 1
    total = float(row["audio"][0][0]) + float(row["visual"][0][0])
    start = time.perf_counter()
    for row in rows:
        total += float(row["audio"][0][0]) + float(row["visual"][0][0])
        count += 1
    print(json.dumps({"first": first, "rate": (count - 1) / (time.perf_counter() - start)}))


def measure(name: str, release: Path) -> dict[str, float]:
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "HF_HUB_OFFLINE": "1",
    }
    runs = []
    for _ in range(REPEATS):
        command = [sys.executable, __file__, "--reader", name, str(release)]
        result = subprocess.run(command, check=True, capture_output=True, env=environment)
        runs.append(json.loads(result.stdout.decode().splitlines()[-1]))
    return {
        "first": min(run["first"] for run in runs),
        "rate": max(run["rate"] for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=6000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "avmit-bench")
    parser.add_argument("--reader", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        measure_here(arguments.reader[0], Path(arguments.reader[1]))
        return
    release = make_release(arguments.folder, arguments.records)
    from conversion.convert.build import Options, convert

    convert(release / "loose", release / "avmit", Options(configs=[CONFIG]))
    print(f"{arguments.records:,} records of {CONFIG}, best of {REPEATS}")
    for name in READERS:
        taken = measure(name, release)
        print(
            f"{name:28} first row {taken['first']:7.3f} s {taken['rate']:9,.0f} rows/s", flush=True
        )


if __name__ == "__main__":
    main()
