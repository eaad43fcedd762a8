"""Measure features and comparisons against what users write, in one run.

    python benchmarks/features.py [--rows 57177] [--folder DIR] [--runs 3]

Features: the mean over timesteps of every row of the wide set, both modalities, from the mapped
package to an HDF5 file in the same folder; the peer takes batches of rows in the numpy format of
`datasets`. CKA: of 1280 by 768 values a row; ours debiased and biased with an interval, the peer
the biased value alone, its float64 copies whole in memory. Each way runs in a process of its own,
the ways in turn, and the best of the runs counts; imports are apart. `DIR` is best in memory (such
as /dev/shm). Memory is the most anonymous memory (RssAnon) beside what is compared.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from made.packages import CONFIG, make_package

NAMES = ("audio", "visual")
WIDTHS = (1280, 768)
_BATCH = 1000
"""Rows that the peer takes at once; with more it needs more memory and is no faster."""


def ours_features(package: Path) -> Any:
    import avmit

    out = package.with_name("ours.h5")
    avmit.features(CONFIG, data_dir=package).save(out, overwrite=True)
    return out.stat().st_size


def numpy_features(package: Path) -> Any:
    import h5py

    import avmit

    dataset = avmit.load(CONFIG, "train", data_dir=package)
    dataset = dataset.select_columns([*NAMES, "filename", "label"]).with_format("numpy")
    means: dict[str, list[Any]] = {name: [] for name in NAMES}
    for batch in dataset.iter(_BATCH):
        for name in NAMES:
            means[name] += [row.mean(axis=0) for row in batch[name]]
    out = package.with_name("theirs.h5")
    with h5py.File(out, "w") as file:
        for name in NAMES:
            file[name] = np.stack(means[name])
        file["filename"] = [str(name) for name in dataset["filename"][:]]
        file["label"] = dataset["label"][:]
    return out.stat().st_size


def vectors(rows: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, WIDTHS[0]), np.float32)
    y = generator.standard_normal((rows, WIDTHS[1]), np.float32)
    y[:, :300] += x[:, :300]
    return x, y


def ours_cka(x: Any, y: Any) -> Any:
    from extraction.compare.cka import alignment

    return alignment(x, y, 0).biased.value


def numpy_cka(x: Any, y: Any) -> Any:
    x, y = x.astype(np.float64), y.astype(np.float64)
    x -= x.mean(axis=0)
    y -= y.mean(axis=0)
    both = np.linalg.norm(x.T @ y) ** 2
    return float(both / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


WAYS: dict[str, dict[str, Callable[..., Any]]] = {
    "features": {"avmit.features": ours_features, "datasets, numpy + mean": numpy_features},
    "CKA": {"avmit compare's": ours_cka, "NumPy in memory": numpy_cka},
}


def anonymous() -> float:
    """Return the megabytes of memory that are this process's own."""
    status = Path("/proc/self/status")
    found = re.search(r"RssAnon:\s*(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) / 1000 if found else float("nan")


def measure_here(what: str, name: str, rows: int, package: Path) -> None:
    import h5py  # noqa: F401 - imports are not measured

    import avmit

    avmit.features  # noqa: B018 - nor is this one
    arguments = (package,) if what == "features" else vectors(rows)
    before = most = anonymous()
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    value = WAYS[what][name](*arguments)
    taken = time.perf_counter() - start
    done.set()
    watcher.join()
    print(json.dumps({"seconds": taken, "memory": most - before, "value": value}))


def measure(what: str, name: str, rows: int, package: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--way", what, name, str(package), "--rows", str(rows)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    ran = subprocess.run(command, check=True, capture_output=True, env=environment)
    taken: dict[str, float] = json.loads(ran.stdout.decode().splitlines()[-1])
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=57_177)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "avmit-bench")
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        what, name, package = arguments.way
        measure_here(what, name, arguments.rows, Path(package))
        return
    package = make_package(arguments.folder, arguments.rows)
    print(f"{arguments.rows:,} rows, best of {arguments.runs} runs, {os.cpu_count()} cores")
    for what, ways in WAYS.items():
        best: dict[str, dict[str, float]] = {}
        for _ in range(arguments.runs):
            for name in ways:
                one = measure(what, name, arguments.rows, package)
                if name not in best or one["seconds"] < best[name]["seconds"]:
                    best[name] = one
        for name, one in best.items():
            print(f"{what:9} {name:24}{one['seconds']:8.1f} s {one['memory']:8,.0f} MB", flush=True)
        ours, peer = best.values()
        print(f"{what:9} {peer['seconds'] / ours['seconds']:.1f} times as fast")
    for name in ("ours.h5", "theirs.h5"):
        package.with_name(name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
