"""Measure the conversion against its peers: whole processes, start-up included, in one run.

    python benchmarks/convert.py [--records 6000] [--folder DIR] [--full]

`floor` reads, inflates and checks the CRC of every record and keeps nothing; the second floor also
writes what it read, with the SHA-256 that a shard needs. The peers are the usual route: tf.data
(TFRecordDataset, parse_single_sequence_example) feeding Dataset.from_generator, which calls the
generator once, or once for each of two processes that have half the files each; save_to_disk then
makes of its cache a folder to keep. They have the two embeddings and two names of each record,
`avmit convert` all columns. Two rows are of the start-up alone.

CPU seconds are of all processes and threads; `records/CPU s` is therefore what one core does. The
peak is the largest that all processes together held. Give --folder a place in memory, such as
/dev/shm, to measure the work and not the disk. `--full` takes 57,177 records, as many as the
release has, and shards of the default size, once each. `--profile` prints instead what each step
takes.
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from made.releases import CONFIG, make_archive, make_release

FULL = 57_177  # rated videos in the release
REPEATS = 3
SHARD_SIZE = "16MB"  # so that a small release has shards for two workers, as the real one has


def run_floor(source: Path, _: Path) -> None:
    from conversion.release.record_sets import FolderReader
    from conversion.tfrecord.record import inflate, unframe

    reader = FolderReader(str(source))
    for path in sorted(source.rglob("*.tfrecord")):
        unframe(inflate(reader.read(str(path.relative_to(source)))))


def run_floor_written(source: Path, out: Path) -> None:
    from conversion.release.record_sets import FolderReader
    from conversion.tfrecord.record import inflate, unframe

    reader, digest = FolderReader(str(source)), hashlib.sha256()
    with out.open("wb", buffering=0) as file:
        for path in sorted(source.rglob("*.tfrecord")):
            payload = unframe(inflate(reader.read(str(path.relative_to(source)))))
            digest.update(payload)
            file.write(payload)


def run_convert(workers: int) -> Callable[[Path, Path], None]:
    def run(source: Path, out: Path) -> None:
        from avmit_cli import main

        sys.argv = ["avmit", "convert", str(source), "--out", str(out)]
        sys.argv += ["--config", CONFIG, "--workers", str(workers)]
        if source.parent.name != f"{FULL}-records":
            sys.argv += ["--max-shard-size", SHARD_SIZE]
        main()

    return run


def run_start_up(_: Path, __: Path) -> None:
    from conversion.cli import COMMANDS

    COMMANDS["convert"].load("convert")


def tf_data_rows(paths: list[str]) -> Iterator[dict[str, Any]]:
    """Yield records as tf.data reads them; made here, since a graph cannot be pickled."""
    import tensorflow as tf

    context = {
        name: tf.io.FixedLenFeature([], tf.string if name in ("filename", "label") else tf.int64)
        for name in ("filename", "label", "audio_timesteps", "visual_timesteps")
    }
    lists = {
        name: tf.io.FixedLenSequenceFeature([], tf.string) for name in ("audio", "visual_object")
    }

    def parse(serialized: Any) -> dict[str, Any]:
        one, many = tf.io.parse_single_sequence_example(serialized, context, lists)
        return {
            "filename": one["filename"],
            "label": one["label"],
            "audio": tf.io.decode_raw(many["audio"], tf.float32),
            "visual": tf.io.decode_raw(many["visual_object"], tf.float32),
        }

    records = tf.data.TFRecordDataset(paths, "GZIP").map(parse).prefetch(8)
    for record in records.as_numpy_iterator():
        text = {name: record[name].decode() for name in ("filename", "label")}
        yield {**record, **text}


def tf_data_rows_of_all(parts: list[list[str]]) -> Iterator[dict[str, Any]]:
    """Yield the records of several lists of files; `datasets` gives each process some of these."""
    for paths in parts:
        yield from tf_data_rows(paths)


def run_tf_data(processes: int) -> Callable[[Path, Path], None]:
    def run(source: Path, out: Path) -> None:
        import datasets
        import numpy as np

        import avmit

        datasets.disable_progress_bars()
        paths = sorted(map(str, source.rglob("*.tfrecord")))
        dims = avmit.EMBEDDING_DIMS[CONFIG]
        array = {
            name: datasets.Sequence(datasets.Sequence(datasets.Value("float32"), length=dim))
            for name, dim in zip(("audio", "visual"), dims, strict=True)
        }
        text = datasets.Value("string")
        # A list among the generator's arguments is what is cut into shards: here one a process.
        # (A flat list of files would be one shard a file, and the pipeline built for each.)
        parts = [paths[index::processes] for index in range(processes)]
        made = datasets.Dataset.from_generator(
            tf_data_rows_of_all,
            features=datasets.Features({"filename": text, "label": text, **array}),
            cache_dir=str(out / "cache"),
            gen_kwargs={"parts": parts},
            num_proc=processes if processes > 1 else None,
        )
        assert len(made) == len(paths) and np.shape(made[0]["audio"])[1] == dims[0]
        made.save_to_disk(str(out / "saved"), num_proc=processes if processes > 1 else None)

    return run


def run_tf_data_read(source: Path, _: Path) -> None:
    for _record in tf_data_rows(sorted(map(str, source.rglob("*.tfrecord")))):
        pass


def run_tf_data_start_up(_: Path, __: Path) -> None:
    import datasets  # noqa: F401
    import tensorflow  # noqa: F401


CASES: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "start-up, avmit": ("loose", run_start_up),
    "start-up, tf.data": ("loose", run_tf_data_start_up),
    "floor": ("loose", run_floor),
    "floor, written, hashed": ("loose", run_floor_written),
    "avmit, 1 worker": ("loose", run_convert(1)),
    "avmit, 2 workers": ("loose", run_convert(2)),
    "tf.data, reading alone": ("loose", run_tf_data_read),
    "tf.data, 1 process": ("loose", run_tf_data(1)),
    "tf.data, 2 processes": ("loose", run_tf_data(2)),
    "avmit, 1 worker, zip": ("zip", run_convert(1)),
    "avmit, 1 worker, tar": ("tar", run_convert(1)),
    "avmit, 1 worker, tar.gz": ("tgz", run_convert(1)),
}


def _held(pid: int) -> int:
    """Return the bytes that a process and its children hold, each shared page once."""
    total = 0
    for process in [pid, *_children(pid)]:
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
    return total * 1024


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def profile(source: Path) -> None:
    """Print the microseconds that each step takes for a record, one core, best of all repeats."""
    import numpy as np

    from conversion.release.record_sets import FolderReader
    from conversion.tfrecord.record import inflate, parse_example, unframe

    reader, digest = FolderReader(str(source)), hashlib.sha256()
    names = [str(path.relative_to(source)) for path in sorted(source.rglob("*.tfrecord"))]
    steps = ("read", "inflate", "CRC-32C", "parse and check", "SHA-256", "write")
    best = dict.fromkeys(steps, float("inf"))
    with tempfile.TemporaryFile(dir=source.parent, buffering=0) as file:
        for _ in range(REPEATS):
            times = []
            file.seek(0)
            file.truncate()
            for name in names:
                moments = [time.perf_counter()]
                data = reader.read(name)
                moments.append(time.perf_counter())
                inflated = inflate(data)
                moments.append(time.perf_counter())
                payload = unframe(inflated)
                moments.append(time.perf_counter())
                parse_example(payload)
                moments.append(time.perf_counter())
                digest.update(payload)
                moments.append(time.perf_counter())
                file.write(payload)
                moments.append(time.perf_counter())
                times.append(np.diff(moments))
            for step, seconds in zip(steps, np.mean(times, axis=0), strict=True):
                best[step] = min(best[step], float(seconds))
    for step, seconds in best.items():
        print(f"{step:26} {seconds * 1e6:7.1f} microseconds a record")


def measure(case: str, release: Path, repeats: int) -> dict[str, float]:
    """Run a case several times, each in a new process, and return the fastest."""
    return min(
        (_measure_once(case, release) for _ in range(repeats)), key=lambda run: float(run["wall"])
    )


def _measure_once(case: str, release: Path) -> dict[str, float]:
    scratch = Path(tempfile.mkdtemp(dir=release))
    command = [sys.executable, __file__, "--case", case, str(release), str(scratch)]
    # tf.data on the CPU, quietly; and no cache of an earlier run.
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "HF_HOME": str(scratch)}
    try:
        with tempfile.TemporaryFile() as told:
            start, before = time.perf_counter(), _cpu_seconds_of_children()
            process = subprocess.Popen(
                command, env={**os.environ, **quiet}, stdout=told, stderr=subprocess.STDOUT
            )
            peak = 0
            while process.poll() is None:
                peak = max(peak, _held(process.pid))
                time.sleep(0.05)
            wall, cpu = time.perf_counter() - start, _cpu_seconds_of_children() - before
            if process.returncode:
                told.seek(0)
                sys.exit(f"{case} failed:\n{told.read().decode()}")
    finally:
        shutil.rmtree(scratch)
    return {"wall": wall, "cpu": cpu, "all": peak}


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report(case: str, taken: dict[str, float], records: int, floor: float) -> None:
    print(f"{case:24}", end="")
    if case.startswith("start-up"):
        print(f" {'':28}", end="")
    else:
        rates = records / taken["wall"], records / taken["cpu"]
        print(f" {rates[0]:7,.0f} {rates[1]:7,.0f} {floor / taken['cpu']:12.0%}", end="")
    print(f" {taken['wall']:8.2f} {taken['cpu']:8.2f} {taken['all'] / 2**20:6,.0f}", flush=True)


def report_all(cases: list[str], release: Path, records: int, repeats: int) -> None:
    """Measure cases and print a table of them, and what is of interest in it."""
    print(f"{records:,} records of {CONFIG}; processes as a whole, best of {repeats}")
    print(f"{'':24} {'per s':>7} {'per CPU s':>9} {'floor/CPU':>10}   wall s    CPU s    MiB")
    taken: dict[str, dict[str, float]] = {}
    for case in cases:
        taken[case] = measure(case, release, repeats)
        report(case, taken[case], records, taken.get("floor", taken[case])["cpu"])
    one, two = taken["avmit, 1 worker"], taken["avmit, 2 workers"]
    their_one, their_two = taken["tf.data, 1 process"], taken["tf.data, 2 processes"]
    started, they_started = taken["start-up, avmit"], taken["start-up, tf.data"]
    after = (their_one["cpu"] - they_started["cpu"]) / (one["cpu"] - started["cpu"])
    print(f"CPU that tf.data takes against avmit: {their_one['cpu'] / one['cpu']:.1f} times;")
    print(f"without either's start-up: {after:.1f} times")
    print(f"time against avmit, 1 process each: {their_one['wall'] / one['wall']:.1f} times")
    print(f"time against avmit, 2 processes each: {their_two['wall'] / two['wall']:.1f} times")
    print(f"avmit with 2 workers against 1: {one['wall'] / two['wall']:.2f} times as fast")
    for kind in ("zip", "tar", "tar.gz"):
        if archived := taken.get(f"avmit, 1 worker, {kind}"):
            print(
                f"{kind} against loose files: {archived['wall'] / one['wall']:.2f} times the time"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=6000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "avmit-bench")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        case, folder, scratch = arguments.case
        kind, run = CASES[case]
        run(Path(folder) / kind, Path(scratch) / "out")
        return
    release = make_release(arguments.folder, arguments.records)
    if arguments.profile:
        profile(release / "loose")
        return
    for kind in ("zip", "tar", "tgz"):
        make_archive(release, kind)
    report_all(list(CASES), release, arguments.records, REPEATS)
    if arguments.full:
        loose = [case for case, (kind, _) in CASES.items() if kind == "loose"]
        report_all(loose, make_release(arguments.folder, FULL), FULL, 1)


if __name__ == "__main__":
    main()
