"""Measure feeding: rows to padded batches, against what users write, in one run.

    python benchmarks/feed.py [--rows 20000] [--folder DIR]

Rows a second of a whole pass over the wide set, batches of 32, each way in a process of its own,
the best of three passes; `DIR` is best in memory (such as /dev/shm), for a disk would be measured
otherwise. The first batch counts from the call, imports apart. `copy` is how many padded rows
NumPy copies in memory a second, measured in each process beside its pass: no way that makes new
arrays is faster. Memory is the anonymous kind (RssAnon), which mapped files do not count towards.

The peers are written as their libraries' own pages advise, and tuned: whole batches are asked of
`datasets` where it can give them, workers are tried, tf.data reads and parses in parallel.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from made.packages import CONFIG, make_package
from made.releases import make_release

BATCH = 32
PASSES = 3
NAMES = ("audio", "visual")
STEPS = 7
WIDTH = 6 * 1024 + 7 * 1280
"""Floats in a padded row, audio and visual together."""
RECORDS = 2000
"""Records of tf.data, whose rate does not depend on how many there are."""


Reader = Callable[[Any, bool], Iterable[Any]]
"""Makes batches of a dataset, shuffled or in order."""


def loaded(package: Path) -> Any:
    import avmit

    return avmit.load(CONFIG, "train", data_dir=package)


def numbers(rows: int, shuffled: bool) -> list[list[int]]:
    order = np.random.default_rng(0).permutation(rows) if shuffled else np.arange(rows)
    return [order[start : start + BATCH].tolist() for start in range(0, rows, BATCH)]


def pad(arrays: Iterable[Any]) -> Any:
    arrays = list(arrays)
    out = np.zeros((len(arrays), max(map(len, arrays)), arrays[0].shape[1]), np.float32)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def ours(format: str) -> Reader:
    def read(dataset: Any, shuffled: bool) -> Iterable[Any]:
        import avmit

        return avmit.batches(dataset, BATCH, shuffle=shuffled, format=format)  # type: ignore[arg-type]

    return read


def our_loader(workers: int) -> Reader:
    def read(dataset: Any, shuffled: bool) -> Iterable[Any]:
        import avmit

        return avmit.torch_loader(
            dataset,
            BATCH,
            shuffle=shuffled,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    return read


def our_tf_dataset(dataset: Any, shuffled: bool) -> Any:
    import avmit

    return avmit.tf_dataset(dataset, BATCH, shuffle=shuffled)


class Numpy:
    """The numpy format of `datasets`, a batch of rows at a time, and padding."""

    def __init__(self, dataset: Any, shuffled: bool):
        self.dataset = dataset.select_columns([*NAMES, "label"]).with_format("numpy")
        self.numbers = numbers(len(self.dataset), shuffled)

    def __iter__(self) -> Any:
        for chosen in self.numbers:
            rows = self.dataset[chosen]
            yield {**{name: pad(rows[name]) for name in NAMES}, "label": rows["label"]}


class Arrow(Numpy):
    """Arrow tables of `datasets`, their buffers viewed by hand, and padding."""

    def __init__(self, dataset: Any, shuffled: bool):
        super().__init__(dataset, shuffled)
        self.dataset = self.dataset.with_format("arrow")
        self.shuffled = shuffled

    def __iter__(self) -> Any:
        tables = map(self.dataset.__getitem__, self.numbers)
        for table in tables if self.shuffled else self.dataset.iter(BATCH):
            yield {name: pad(views(table[name])) for name in NAMES} | {"label": table["label"]}


def views(column: Any) -> Iterable[Any]:
    for chunk in column.chunks:
        values, offsets = chunk.flatten(), chunk.offsets.to_numpy()
        matrix = values.flatten().to_numpy().reshape(-1, values.type.list_size)
        for start, end in zip(offsets[:-1] - offsets[0], offsets[1:] - offsets[0], strict=True):
            yield matrix[start:end]


def torch_format(workers: int) -> Reader:
    def read(dataset: Any, shuffled: bool) -> Any:
        from torch.utils.data import DataLoader

        return DataLoader(
            dataset.select_columns([*NAMES, "label"]).with_format("torch"),
            BATCH,
            shuffle=shuffled,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
        )

    return read


def collate(rows: Any) -> dict[str, Any]:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    batch = {name: pad_sequence([row[name] for row in rows], batch_first=True) for name in NAMES}
    return {**batch, "label": torch.stack([row["label"] for row in rows])}


def to_tf_dataset(dataset: Any, shuffled: bool) -> Any:
    return dataset.select_columns([*NAMES, "label"]).to_tf_dataset(
        BATCH, columns=[*NAMES, "label"], shuffle=shuffled, collate_fn=collate_numpy, prefetch=True
    )


def collate_numpy(rows: Any) -> dict[str, Any]:
    batch = {name: pad([np.asarray(row[name], np.float32) for row in rows]) for name in NAMES}
    return {**batch, "label": np.array([row["label"] for row in rows])}


def tf_data(folder: Any, shuffled: bool) -> Any:
    import tensorflow as tf

    context = {"label": tf.io.FixedLenFeature([], tf.string)}
    lists = {
        name: tf.io.FixedLenSequenceFeature([], tf.string) for name in ("audio", "visual_object")
    }

    def parse(serialized: Any) -> dict[str, Any]:
        one, many = tf.io.parse_single_sequence_example(serialized, context, lists)
        arrays = {
            name: tf.reshape(tf.io.decode_raw(many[name], tf.float32), [-1, width])
            for name, width in (("audio", 1024), ("visual_object", 1280))
        }
        return {**arrays, "label": one["label"]}

    release = make_release(folder, RECORDS)
    paths = sorted(map(str, (release / "loose").rglob("*.tfrecord")))
    files = tf.data.Dataset.from_tensor_slices(paths)
    if shuffled:
        files = files.shuffle(len(paths))
    records = files.interleave(
        lambda path: tf.data.TFRecordDataset(path, "GZIP"),
        cycle_length=8,
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    shapes = {"audio": [STEPS, 1024], "visual_object": [STEPS, 1280], "label": []}
    parsed = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return parsed.padded_batch(BATCH, shapes).prefetch(tf.data.AUTOTUNE)


READERS: dict[str, Reader] = {
    "avmit.batches, numpy": ours("numpy"),
    "avmit.batches, torch": ours("torch"),
    "avmit.batches, tensorflow": ours("tensorflow"),
    "avmit.batches, jax": ours("jax"),
    "avmit.torch_loader, 0 workers": our_loader(0),
    "avmit.torch_loader, 2 workers": our_loader(2),
    "avmit.tf_dataset": our_tf_dataset,
    "datasets, numpy + padding": Numpy,
    "datasets, arrow by hand + padding": Arrow,
    "datasets, torch + DataLoader": torch_format(0),
    "datasets, torch + 2 workers": torch_format(2),
    "datasets, to_tf_dataset": to_tf_dataset,
    "tf.data over TFRecords": tf_data,
}


def copied_rows(seconds: float = 0.5) -> float:
    """Return how many padded rows are copied a second, from and to memory that no cache holds."""
    source = np.ones((4096, WIDTH), np.float32)
    target = np.empty_like(source)
    target[:] = source
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        target[:] = source
        best = max(best, len(source) / (time.perf_counter() - start))
    return best


def anonymous() -> float:
    """Return the megabytes of memory that are this process's own."""
    status = Path("/proc/self/status")
    found = re.search(r"RssAnon:\s*(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) / 1000 if found else float("nan")


def measure_here(name: str, package: Path) -> None:
    if "tf" in name.lower() or "tensorflow" in name:
        import tensorflow  # noqa: F401 - imports are not measured
    if "torch" in name:
        import torch  # noqa: F401
    if "jax" in name:
        import jax

        jax.devices()
    import avmit  # noqa: F401

    dataset = package.parents[1] if "TFRecords" in name else loaded(package)
    result: dict[str, float] = {}
    before = anonymous()
    for kind in ("in order", "shuffled"):
        start = time.perf_counter()
        batches = READERS[name](dataset, kind == "shuffled")
        next(iter(batches))
        result[f"first {kind}"] = time.perf_counter() - start
        best = 0.0
        for _ in range(PASSES):
            rows, start = 0, time.perf_counter()
            for batch in batches:
                rows += len(batch["label"]) if isinstance(batch, dict) else len(batch[1])
                if time.perf_counter() - start > 8:
                    break
            best = max(best, rows / (time.perf_counter() - start))
        result[kind] = best
    result["memory"] = anonymous() - before
    result["copy"] = copied_rows()
    print(json.dumps(result), flush=True)
    os._exit(0)  # a pass that was left early may have workers


def measure(name: str, package: Path) -> dict[str, float]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--reader", name, str(package)]
    ran = subprocess.run(command, check=True, capture_output=True, env=environment)
    taken: dict[str, float] = json.loads(ran.stdout.decode().splitlines()[-1])
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "avmit-bench")
    parser.add_argument("--only", help="of the ways, those whose name holds this")
    parser.add_argument("--reader", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        measure_here(arguments.reader[0], Path(arguments.reader[1]))
        return
    package = make_package(arguments.folder, arguments.rows)
    make_release(arguments.folder, RECORDS)
    print(f"{arguments.rows:,} rows of {CONFIG}, batches of {BATCH}, best of {PASSES} passes")
    print(
        f"{'':34}{'in order':>10}{'shuffled':>10} rows/s {'first':>8} {'memory':>9} {'of copy':>8}"
    )
    taken = {}
    for name in READERS:
        if arguments.only and arguments.only not in name:
            continue
        one = taken[name] = measure(name, package)
        print(
            f"{name:34}{one['in order']:10,.0f}{one['shuffled']:10,.0f}        "
            f"{1000 * one['first shuffled']:5.0f} ms {one['memory']:6.0f} MB "
            f"{one['shuffled'] / one['copy']:8.0%}",
            flush=True,
        )
    peers = [one["shuffled"] for name, one in taken.items() if not name.startswith("avmit")]
    if peers:
        best = taken["avmit.batches, numpy"]["shuffled"]
        print(f"avmit.batches, numpy, shuffled: {best / max(peers):.1f} times the best other way")


if __name__ == "__main__":
    main()
