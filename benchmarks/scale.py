"""Measure `avmit extract` on several workers, and simulate many of them on a million videos.

Measured: one process with one core and with two, Ray with one and two tasks of a core, Slurm with
two tasks of a core; the clips are made here, the network is a small one of ONNX. Start-up is left
out: each process notes when it decodes which video, and a rate is taken while all tasks decode.
Efficiency is the rate a core, as a part of the best one a core of a single process. Beside it stand
the CPU seconds a video, which other programs lengthen less. Runs follow each other in turn, and the
best of each counts. Slurm is started here, as root; without it, it is left out.

Simulated, from the seconds a video and the start-up seconds of a task that were measured: shards
of a size, drawn by 64 and 512 workers. Nodes differ by a tenth, and one shard in twenty takes three
times as long; 5% of the tasks are lost at some moment, with all since the last 20 s, and wait for
two minutes to go on. Then planning before and putting together after, as `--planning` and
`--finishing` say.

    python benchmarks/scale.py --videos 400 --repeat 3
    python benchmarks/scale.py --simulate --seconds-a-video 0.25 --start-up 30
"""

import argparse
import contextlib
import heapq
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]

from made.clips import make_clip  # noqa: E402
from support import slurm as slurms  # noqa: E402
from support.mit import lay_out  # noqa: E402
from support.onnx_models import node, save, weights  # noqa: E402

from conversion.release.generate import generate_release  # noqa: E402

SIDE, WIDTH, SHARDS = 64, 256, 4
CLOCK = """
import os
import time
from pathlib import Path

import numpy as np

from extraction import Sound, encoder

TIMES = Path(os.environ["AVMIT_BENCH_TIMES"], f"{os.getpid()}-{time.time()}")


@encoder(name="clock", width=1, input=Sound(), step_ms=3000)
def clock(waveform):
    with TIMES.open("a") as file:
        print(time.time(), time.process_time(), file=file)
    return np.zeros((1, 1), np.float32)
"""

Times = list[list[tuple[float, float]]]
"""When each process decoded its videos, and the CPU seconds that it had used by then."""


@dataclass(frozen=True)
class Way:
    """How `avmit extract` is run: `more` options, on these cores, `tasks` at a time."""

    more: tuple[str, ...]
    cores: tuple[int, ...]
    tasks: int


WAYS = {
    "local, 1 core": Way((), (0,), 1),
    "local, 2 cores": Way((), (0, 1), 1),
    # Ray counts the machine's cores, whatever taskset leaves.
    "Ray, 1 task": Way(("--executor", "ray", "--ray-cpus", str(os.cpu_count())), (0,), 1),
    "Ray, 2 tasks": Way(("--executor", "ray"), (0, 1), 2),
    "Slurm, 2 tasks": Way(("--executor", "slurm", "--wait"), (0, 1), 2),
}


class Bench:
    """A folder with videos, and how `avmit extract` is run on them."""

    def __init__(self, folder: Path, videos: int, environment: dict[str, str]):
        self.folder = folder
        caches = {name: str(folder) for name in ("KAGGLEHUB_CACHE", "KERAS_HOME", "TORCH_HOME")}
        caches |= {"HF_HOME": str(folder), "AVMIT_CACHE": str(folder)}
        self.environment = {**os.environ, **environment, **caches, "PYTHONPATH": str(ROOT)}
        clips = [make_clip(folder / f"clip-{number}.mp4", number) for number in range(8)]
        generate_release(
            folder / "sources", videos_per_label=-(-videos // 16), test_per_label=1, sets=[]
        )
        lay_out(folder / "mit", folder / "sources", clips)
        (folder / "clock.py").write_text(CLOCK)
        network(folder / "net.onnx")
        self._rows = videos
        self._runs = 0

    def run(self, way: Way) -> tuple[Times, float]:
        """Extract all videos, and return when they were decoded, and the seconds of the command."""
        self._runs += 1
        times, out = self.folder / f"times-{self._runs}", self.folder / f"out-{self._runs}"
        times.mkdir()
        size = 4 * (7 * WIDTH + 2) * self._rows // SHARDS
        command = (
            *("taskset", "--cpu-list", ",".join(map(str, way.cores))),
            *(sys.executable, "-P", "-m", "avmit_cli", "extract", "--videos", "mit"),
            *("--annotations", "sources", "--config", "mine", "--out", str(out)),
            *("--encoder-module", "clock.py", "--audio", "clock", "--visual", "onnx:net.onnx"),
            *("--max-shard-size", f"{size}B", *way.more),
        )
        environment = {**self.environment, "AVMIT_BENCH_TIMES": str(times)}
        start = time.monotonic()
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True)
        seconds = time.monotonic() - start
        return [parsed(path.read_text()) for path in times.iterdir()], seconds


def parsed(text: str) -> list[tuple[float, float]]:
    pairs = (line.split() for line in text.splitlines())
    return sorted((float(moment), float(used)) for moment, used in pairs)


def network(path: Path) -> Path:
    """Write a network of four convolutions."""
    nodes, constants, inside, channels = [], {}, "x", 3
    for layer, width in enumerate((32, 64, 128, WIDTH)):
        kernels = weights(width, channels, 3, 3, seed=layer) / np.sqrt(9 * channels)
        constants[f"k{layer}"] = kernels.astype(np.float32)
        strides = [2, 2] if layer else [1, 1]
        nodes.append(node("Conv", f"{inside} k{layer}", f"c{layer}", strides=strides))
        nodes.append(node("Relu", f"c{layer}", f"r{layer}"))
        inside, channels = f"r{layer}", width
    nodes.append(node("ReduceMean", inside, "y", axes=[2, 3], keepdims=0))
    return save(path, nodes, {"x": ("n", 3, SIDE, SIDE)}, {"y": ("n", channels)}, constants)


def rate(times: Times, tasks: int) -> float:
    """Return the videos a second while so many processes decode."""
    moments = sorted({moment for one in times for moment, _ in (one[0], one[-1])})
    seconds = decoded = 0.0
    for start, end in pairwise(moments):
        active = [one for one in times if one[0][0] <= start and end <= one[-1][0]]
        if len(active) == tasks:
            seconds += end - start
            decoded += sum(start < moment <= end for one in active for moment, _ in one)
    return decoded / seconds


def cpu(times: Times) -> float:
    """Return the CPU seconds a video."""
    used = sum(one[-1][1] - one[0][1] for one in times)
    return used / sum(len(one) - 1 for one in times)


def measure(videos: int, repeat: int) -> tuple[float, float]:
    """Measure all ways, print them, and return seconds a video on a core and a task's start-up."""
    with tempfile.TemporaryDirectory() as name, slurm_in(Path(name, "slurm")) as environment:
        bench = Bench(Path(name), videos, environment)
        ways = {k: w for k, w in WAYS.items() if environment or not k.startswith("Slurm")}
        rates = dict.fromkeys(ways, 0.0)
        start_up = dict.fromkeys(ways, float("inf"))
        used = dict.fromkeys(ways, float("inf"))
        for _ in range(repeat):
            for one, way in ways.items():
                times, seconds = bench.run(way)
                rates[one] = max(rates[one], rate(times, way.tasks))
                used[one] = min(used[one], cpu(times))
                spent = sum(process[-1][0] - process[0][0] for process in times) / way.tasks
                start_up[one] = min(start_up[one], seconds - spent)
    best = max(rates[one] / len(way.cores) for one, way in ways.items() if way.more == ())
    print(f"{videos} videos, best of {repeat}; start-up apart, which is what a run takes besides")
    for one, way in ways.items():
        efficiency = rates[one] / len(way.cores) / best
        print(
            f"{one:16} {rates[one]:6.1f} videos/s, efficiency {efficiency:.2f}, "
            f"{used[one] * 1000:.1f} ms of CPU a video, start-up {start_up[one]:.1f} s"
        )
    return 1 / best, start_up["local, 1 core"]


@contextlib.contextmanager
def slurm_in(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment that finds a Slurm; an empty one if there is none."""
    if reason := slurms.why_not():
        print(reason)
        yield {}
        return
    with slurms.running(folder, cpus=2) as started:
        if isinstance(started, str):
            print(started)
            yield {}
        else:
            yield {name: started.environment[name] for name in ("PATH", "SLURM_CONF")}


@dataclass(frozen=True)
class Cluster:
    """What is simulated; times in seconds."""

    workers: int
    shards: int
    videos: int
    video: float
    start_up: float
    planning: float
    finishing: float
    stragglers: float = 0.05
    slower: float = 3.0
    spread: float = 0.1
    lost: float = 0.05
    requeue: float = 120.0
    spill: float = 20.0


@dataclass
class Simulated:
    """The seconds of a run, and the worker seconds that went where, the useful ones apart."""

    seconds: float
    useful: float
    parts: dict[str, float]


def simulate(cluster: Cluster, seed: int = 0) -> Simulated:
    """Let workers draw shards until all are done; a lost task goes on where it was kept."""
    chance = random.Random(seed)
    work = cluster.video * cluster.videos / cluster.shards
    parts = dict.fromkeys(("start-up", "slow nodes", "lost", "waiting at the end"), 0.0)
    free = [(cluster.planning, number) for number in range(cluster.workers)]
    speeds = [chance.lognormvariate(0, cluster.spread) for _ in range(cluster.workers)]
    heapq.heapify(free)
    ends = [cluster.planning] * cluster.workers
    for _ in range(cluster.shards):
        now, worker = heapq.heappop(free)
        slow = speeds[worker] * (cluster.slower if chance.random() < cluster.stragglers else 1)
        spent = cluster.start_up + work * slow
        parts["start-up"] += cluster.start_up
        parts["slow nodes"] += work * (slow - 1)
        while chance.random() < cluster.lost:
            again = cluster.requeue + cluster.start_up + chance.uniform(0, cluster.spill)
            parts["lost"] += again
            spent += again
        ends[worker] = now + spent
        heapq.heappush(free, (ends[worker], worker))
    last = max(ends)
    parts["waiting at the end"] = sum(last - end for end in ends)
    parts["planning, putting together"] = cluster.workers * (cluster.planning + cluster.finishing)
    return Simulated(last + cluster.finishing, cluster.video * cluster.videos, parts)


def show(cluster: Cluster, repeat: int = 20) -> None:
    """Print the mean of some simulations, and the largest part of what is lost."""
    found = [simulate(cluster, seed) for seed in range(repeat)]
    seconds = sum(one.seconds for one in found) / repeat
    total = seconds * cluster.workers
    share = {
        name: sum(one.parts[name] for one in found) / repeat / total for name in found[0].parts
    }
    largest = max(share, key=lambda name: share[name])
    listed = ", ".join(f"{name} {part:.0%}" for name, part in share.items() if name != largest)
    # Tasks that have ended give what they held back.
    held = found[0].useful / (total * (1 - share["waiting at the end"]))
    print(
        f"{cluster.workers:4} workers, {cluster.shards:6,} shards: {seconds / 3600:6.2f} h, "
        f"efficiency {found[0].useful / total:.2f}, of what tasks held {held:.2f}; "
        f"bound by {largest} {share[largest]:.0%} ({listed})"
    )


def simulate_all(video: float, start_up: float, options: argparse.Namespace) -> None:
    """Print the simulations."""
    row = 4 * options.width * 7
    print(
        f"a million videos of {video * 1000:.0f} ms, {start_up:.0f} s start-up a task, "
        f"{options.planning:.0f} s planning, {options.finishing:.0f} s putting together; "
        f"rows of {row:,} bytes"
    )
    for workers in (64, 512):
        for size in (256, 64, 16):
            shards = -(-options.million * row // (size * 10**6))
            show(
                Cluster(
                    workers=workers,
                    shards=shards,
                    videos=options.million,
                    video=video,
                    start_up=start_up,
                    planning=options.planning,
                    finishing=options.finishing,
                )
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=400, help="videos in a run")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the best counts")
    parser.add_argument("--simulate", action="store_true", help="measure nothing")
    parser.add_argument("--seconds-a-video", type=float, action="append", help="of a worker")
    parser.add_argument("--start-up", type=float, default=30.0, help="seconds of a task")
    parser.add_argument("--planning", type=float, default=20.0, help="seconds")
    parser.add_argument("--finishing", type=float, default=60.0, help="seconds")
    parser.add_argument(
        "--width", type=int, default=2048, help="values of an embedding, both sides"
    )
    parser.add_argument("--million", type=int, default=10**6, help="videos that are simulated")
    options = parser.parse_args()
    if not options.simulate:
        video, start_up = measure(options.videos, options.repeat)
        simulate_all(video, start_up, options)
    for seconds in options.seconds_a_video or (0.25, 2.5):
        simulate_all(seconds, options.start_up, options)


if __name__ == "__main__":
    main()
