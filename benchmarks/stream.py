"""Measure streaming from a Hub on the loopback that is as slow as a network: each way in one run.

    python benchmarks/stream.py [--records 2000] [--folder DIR] [--link 0.02 50e6] [--link ...]

Of a link, the first number is the seconds that each request waits, the second the bytes a second
of all connections together. Each way runs in a process of its own, which has streamed from another
repository before, so that imports do not count. `first` is the time from the call to the first row,
or batch of 32; the pass is a whole one over the split, of which `link` is the share: the time that
the bytes of one pass over all columns take on the raw link, or over those columns, divided by the
time taken. MB and requests are all that the server saw. Memory is the growth of the process's own
(RssAnon) from what it had before, of one worker where there are some. `raw` reads the shards and
keeps nothing: by one connection, and by four.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from made.releases import CONFIG, make_release
from support.hub.server import HubServer

from conversion.convert.build import Options, convert

MB = 10**6
SHARD = 32 * MB
"""Several shards of so few records: a release has them of 256 MB."""
LINKS = [(0.02, 50e6), (0.1, 100e6)]

Reader = Callable[[str], Iterator[int]]
"""Yields the rows of each thing that comes."""


def plain(block_size: int | None) -> Reader:
    def read(repo_id: str) -> Iterator[int]:
        import datasets

        options = {} if block_size is None else {"hf": {"block_size": block_size}}
        stream = datasets.load_dataset(
            repo_id, CONFIG, split="train", streaming=True, storage_options=options
        )
        yield from (table.num_rows for table in stream.with_format("arrow").iter(32))

    return read


def loaded(repo_id: str) -> Iterator[int]:
    import avmit

    stream = avmit.load(CONFIG, "train", data_dir=repo_id, streaming=True)
    yield from (table.num_rows for table in stream.with_format("arrow").iter(32))


def streamed(workers: int = 0, **options: Any) -> Reader:
    def read(repo_id: str) -> Iterator[int]:
        import avmit

        rows = avmit.stream(CONFIG, data_dir=repo_id, **options)
        names = options.get("columns", ["audio", "visual", "label"])
        chosen: dict[str, Any] = {
            "audio": "audio" in names,
            "visual": "visual" in names,
            "columns": [name for name in names if name == "label"],
        }
        if workers:
            made: Any = avmit.torch_loader(rows, 32, num_workers=workers, **chosen)
        else:
            made = avmit.batches(rows, 32, **chosen)
        yield from (len(next(iter(batch.values()))) for batch in made)

    return read


def raw(connections: int) -> Reader:
    def read(repo_id: str) -> Iterator[int]:
        from huggingface_hub import HfApi, hf_hub_url

        from conversion.hub.client import fetch

        files: Any = HfApi().list_repo_tree(repo_id, CONFIG, repo_type="dataset")
        shards = [f for f in files if f.path.endswith(".arrow") and "train" in f.path]
        piece = 8 * MB
        parts = [(f, at) for f in shards for at in range(0, f.size, piece)]

        def part(one: Any) -> int:
            file, start = one
            url = hf_hub_url(repo_id, file.path, repo_type="dataset")
            asked = {"Range": f"bytes={start}-{min(start + piece, file.size) - 1}"}
            return len(fetch(url, piece, asked).content)

        with ThreadPoolExecutor(connections) as pool:
            yield from pool.map(part, parts)

    return read


SOME = {"audio": ["audio", "label"], "visual": ["visual"]}
READERS: dict[str, Reader] = {
    "raw, 1 connection": raw(1),
    "raw, 4 connections": raw(4),
    "datasets": plain(None),
    "datasets, block_size=0": plain(0),
    "avmit.load": loaded,
    "avmit.stream": streamed(),
    "avmit.stream, shuffled": streamed(shuffle=True),
    "avmit.stream, 2 workers": streamed(2),
    "avmit.stream, shuffled, 2 workers": streamed(2, shuffle=True),
    "avmit.stream, audio and label": streamed(columns=SOME["audio"]),
    "avmit.stream, visual": streamed(columns=SOME["visual"]),
}


def anonymous(process: int | str = "self") -> float:
    """Return the megabytes of memory that are a process's own."""
    found = re.search(r"RssAnon:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def workers_memory() -> float:
    """Return the memory of the largest of this process's children, 0 without any."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    with contextlib.suppress(OSError):
        return max(map(anonymous, children), default=0.0)
    return 0.0


def read_here(name: str) -> None:
    """Read the repositories that lines on stdin name, the first of them for the imports."""
    for repo_id in map(str.strip, sys.stdin):
        before, most = anonymous(), 0.0
        start = time.perf_counter()
        rows, first = 0, 0.0
        for number, came in enumerate(READERS[name](repo_id)):
            if not number:
                first = time.perf_counter() - start
            rows += came
            if number % 8 == 0:
                most = max(most, (workers_memory() or anonymous()) - before)
        result = {"first": first, "seconds": time.perf_counter() - start, "rows": rows}
        print(json.dumps({**result, "memory": most}), flush=True)


def measure(hub: HubServer, name: str, home: str) -> dict[str, float]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": home,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    with subprocess.Popen(
        [sys.executable, __file__, "--reader", name],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout
        print("ann/small", file=process.stdin, flush=True)
        process.stdout.readline()
        time.sleep(0.2)  # what was asked for ahead comes to its end
        hub.reset_counts()
        print("ann/avmit", file=process.stdin, flush=True)
        taken: dict[str, float] = json.loads(process.stdout.readline())
        process.stdin.close()
    return {**taken, "sent": hub.sent, "requests": len(hub.requests)}


def bytes_of(package: Path) -> dict[str, int]:
    """Return the bytes of a pass over the split: in all, and of some columns."""
    from conversion.package.index.index_file import read_index
    from conversion.package.manifest import read_manifest

    folder = package / CONFIG
    manifest = read_manifest(folder)
    index = read_index(folder, manifest)
    assert index is not None
    train = {shard.file for shard in manifest.splits["train"]}
    batches = [b for shard in index.shards if shard.file in train for b in shard.batches]
    each = {
        name: sum(batch.columns[place].length for batch in batches)
        for place, name in enumerate(index.columns)
    }
    return {"all": sum(shard.bytes for shard in manifest.splits["train"]), **each}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "avmit-bench")
    parser.add_argument("--link", nargs=2, type=float, action="append", metavar=("DELAY", "BYTES"))
    parser.add_argument("--only", help="of the ways, those whose name holds this")
    parser.add_argument("--reader", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        read_here(arguments.reader)
        return
    packages = {}
    for repo_id, records in (("ann/small", 64), ("ann/avmit", arguments.records)):
        release = make_release(arguments.folder, records)
        packages[repo_id] = release / "avmit-stream"
        options = Options(configs=[CONFIG], max_shard_bytes=SHARD)
        convert(release / "loose", packages[repo_id], options)
    sizes = bytes_of(packages["ann/avmit"])
    for delay, bandwidth in arguments.link or LINKS:
        print(f"{sizes['all'] / MB:.0f} MB; {delay * 1000:g} ms, {bandwidth / MB:g} MB/s")
        with (
            HubServer(delay=delay, bandwidth=bandwidth) as hub,
            tempfile.TemporaryDirectory() as home,
        ):
            for repo_id, package in packages.items():
                hub.put_folder(repo_id, package)
            for name in READERS:
                if not arguments.only or arguments.only in name:
                    show(name, measure(hub, name, home), sizes, bandwidth)


def show(name: str, taken: dict[str, float], sizes: dict[str, int], bandwidth: float) -> None:
    names = next((SOME[last] for last in SOME if f", {last}" in name), None)
    wanted = sizes["all"] if names is None else sum(sizes[column] for column in names)
    print(
        f"  {name:34} first {taken['first']:5.2f} s; pass {taken['seconds']:5.2f} s, "
        f"{wanted / bandwidth / taken['seconds']:4.0%} of the link; {taken['sent'] / MB:5.1f} MB "
        f"({taken['sent'] / wanted:.2f}), {taken['requests']:3.0f} requests; "
        f"{taken['memory']:4.0f} MB memory",
        flush=True,
    )


if __name__ == "__main__":
    main()
