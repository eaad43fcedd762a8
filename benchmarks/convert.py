"""Measure the conversion against its peers, each in a process of its own, in one run.

    python benchmarks/convert.py [--records 6000] [--folder DIR] [--full]

`floor` reads, inflates and checks the CRC of every record and keeps nothing; the second floor also
writes what it read, with the SHA-256 that a shard needs; `tf.data` is the usual route over the
first 400 files: TFRecordDataset, parse_single_sequence_example, Dataset.from_generator.
Seconds are of the work, without imports; the peak is the largest resident size, of the largest
process and of all together. Give --folder a place in memory, such as /dev/shm, to measure the work
and not the disk. `--full` converts 57,177 records, as many as the release has, with one worker and
with two, into shards of the default size. `--profile` prints instead what each step takes.
"""

import argparse
import hashlib
import json
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

from releases import CONFIG, make_archive, make_release

TF_DATA_RECORDS = 400  # of the first; the whole would take minutes
FULL = 57_177  # rated videos in the release
REPEATS = 3
SHARD_BYTES = 16_000_000  # so that a small release has shards for two workers, as the real one has


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
        from conversion.convert.build import Options, convert
        from conversion.package.writer import DEFAULT_MAX_SHARD_BYTES

        full = source.parent.name == f"{FULL}-records"
        shard_bytes = DEFAULT_MAX_SHARD_BYTES if full else SHARD_BYTES
        convert(
            source, out, Options(workers=workers, configs=[CONFIG], max_shard_bytes=shard_bytes)
        )

    return run


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


def run_tf_data(source: Path, out: Path) -> None:
    import datasets
    import numpy as np

    import avmit

    paths = sorted(map(str, source.rglob("*.tfrecord")))[:TF_DATA_RECORDS]
    dims = avmit.EMBEDDING_DIMS[CONFIG]
    array = {
        name: datasets.Sequence(datasets.Sequence(datasets.Value("float32"), length=dim))
        for name, dim in zip(("audio", "visual"), dims, strict=True)
    }
    text = datasets.Value("string")
    features = datasets.Features({"filename": text, "label": text, **array})
    made = datasets.Dataset.from_generator(
        tf_data_rows, features=features, cache_dir=str(out), gen_kwargs={"paths": paths}
    )
    assert len(made) == len(paths) and np.shape(made[0]["audio"])[1] == dims[0]


def run_tf_data_read(source: Path, _: Path) -> None:
    for _record in tf_data_rows(sorted(map(str, source.rglob("*.tfrecord")))):
        pass


CASES: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "floor": ("loose", run_floor),
    "floor, written, hashed": ("loose", run_floor_written),
    "avmit, 1 worker": ("loose", run_convert(1)),
    "avmit, 2 workers": ("loose", run_convert(2)),
    "avmit, 1 worker, zip": ("zip", run_convert(1)),
    "avmit, 1 worker, tar": ("tar", run_convert(1)),
    "avmit, 1 worker, tar.gz": ("tgz", run_convert(1)),
    "tf.data, reading alone": ("loose", run_tf_data_read),
    "tf.data": ("loose", run_tf_data),
}


def measure_here(case: str, release: Path, scratch: Path) -> None:
    """Run a case in this process and print what it took as JSON."""
    import_first(case)
    kind, run = CASES[case]
    source = release / kind
    sampler = subprocess.Popen(
        [sys.executable, __file__, "--watch", str(os.getpid())], stdout=subprocess.PIPE, text=True
    )
    wall, cpu = time.perf_counter(), _cpu_seconds()
    run(source, scratch / "out")
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    sampler.terminate()
    together = int(sampler.communicate()[0] or 0)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "largest": max(own, children), "all": together}))


def import_first(case: str) -> None:
    """Import what the case needs, which is not what is measured."""
    if case.startswith("tf.data"):
        import tensorflow  # noqa: F401
    import conversion.convert.build  # noqa: F401


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def watch(pid: int) -> None:
    """Print, when stopped, the most bytes that a process tree held, each shared page once."""
    import signal

    peak = 0

    def stop(*_: object) -> None:
        print(peak)
        sys.exit()

    signal.signal(signal.SIGTERM, stop)
    while os.getppid() == pid:  # a case that is cut off must not leave its watcher behind
        total = 0
        for child in [pid, *_children(pid)]:
            if child == os.getpid():
                continue
            try:
                rollup = Path(f"/proc/{child}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
        peak = max(peak, total * 1024)
        time.sleep(0.2)


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
    runs = []
    for _ in range(repeats):
        scratch = Path(tempfile.mkdtemp(dir=release))
        try:
            command = [sys.executable, __file__, "--case", case, str(release), str(scratch)]
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
            result = subprocess.run(command, check=True, capture_output=True, env=environment)
            runs.append(json.loads(result.stdout.decode().splitlines()[-1]))
        finally:
            shutil.rmtree(scratch)
    return min(runs, key=lambda run: float(run["wall"]))


def report(case: str, taken: dict[str, float], records: int, floor: float) -> None:
    rate = records / taken["wall"]
    per_core = floor / taken["cpu"]
    print(
        f"{case:26} {rate:9,.0f} records/s {taken['wall']:7.2f} s wall {taken['cpu']:7.2f} s CPU"
        f" {per_core:7.0%} of the floor, CPU for CPU {taken['all'] / 2**20:6.0f} MiB at most",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=6000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "avmit-bench")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--watch", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watch:
        watch(arguments.watch)
    if arguments.case:
        case, release, scratch = arguments.case
        measure_here(case, Path(release), Path(scratch))
        return
    release = make_release(arguments.folder, arguments.records)
    if arguments.profile:
        profile(release / "loose")
        return
    for kind in ("zip", "tar", "tgz"):
        make_archive(release, kind)
    print(f"{arguments.records:,} records of {CONFIG}, best of {REPEATS} (tf.data: one run)")
    taken: dict[str, dict[str, float]] = {}
    for case in CASES:
        taken[case] = measure(case, release, 1 if case == "tf.data" else REPEATS)
        records = TF_DATA_RECORDS if case == "tf.data" else arguments.records
        floor = taken["floor"]["cpu"] * records / arguments.records
        report(case, taken[case], records, floor)
    ours = taken["avmit, 1 worker"]
    theirs = taken["tf.data"]["wall"] * arguments.records / TF_DATA_RECORDS
    print(f"against tf.data: {theirs / ours['wall']:.1f} times as fast")
    print(f"2 workers against 1: {ours['wall'] / taken['avmit, 2 workers']['wall']:.2f} times")
    for kind in ("zip", "tar", "tar.gz"):
        ratio = taken[f"avmit, 1 worker, {kind}"]["wall"] / ours["wall"]
        print(f"{kind} against loose files: {ratio:.2f} times the time")
    if arguments.full:
        full = make_release(arguments.folder, FULL)
        print(f"{FULL:,} records of {CONFIG}")
        for case in ("floor", "floor, written, hashed", "avmit, 1 worker", "avmit, 2 workers"):
            taken[case] = measure(case, full, 1)
            report(case, taken[case], FULL, taken["floor"]["cpu"])
        one, two = taken["avmit, 1 worker"], taken["avmit, 2 workers"]
        print(f"2 workers against 1: {one['wall'] / two['wall']:.2f} times")


if __name__ == "__main__":
    main()
