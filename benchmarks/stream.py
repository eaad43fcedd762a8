"""Measure streaming from a Hub on the loopback that is as slow as a network: each way in one run.

    python benchmarks/stream.py [--records 1500] [--folder DIR] [--delay 0.02] [--bandwidth 50e6]

Each request waits for `delay` seconds; `bandwidth` is in bytes/s, of all connections together. The
time to the first row counts from the call, in a process that has read from another repository
before, so without imports. Rows per second are of a second, whole pass over the split in Arrow
batches of 64 rows: the way from the Hub to the batch, without the making of Python objects. MB and
requests are all that the server saw, API calls and redirects too.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pyarrow as pa
from releases import CONFIG, make_release
from support.hub.server import HubServer

from conversion.convert.build import Options, convert
from conversion.package.writer import Encoding, ShardWriter, plan_shards, shard_name

MB, MIB = 10**6, 2**20
READERS = {
    "datasets": ("datasets", None),
    "avmit.load": ("avmit", None),
    "avmit.load, 2 columns": ("avmit", ["audio", "label"]),
}


@dataclass(frozen=True)
class Variant:
    """How the same rows are written."""

    encoding: Encoding
    batch: int = 4 * MIB
    shard: int = 256 * MB

    def __str__(self) -> str:
        size = f"{self.batch / MIB:g} MiB batches, {self.shard // MB} MB shards"
        return f"{self.encoding.format}, {self.encoding.compression}, {size}"


ARROW, ZSTD = Encoding("arrow", "none"), Encoding("arrow", "zstd")
PARQUET = Encoding("parquet", "zstd")
VARIANTS = [
    *(Variant(encoding) for encoding in (ARROW, ZSTD, PARQUET)),
    *(Variant(ARROW, batch=size) for size in (MIB // 4, 16 * MIB)),
    Variant(PARQUET, batch=32 * MIB),
    Variant(ARROW, shard=16 * MB),
]


def write(table: pa.Table, variant: Variant, repository: Path) -> None:
    """Write the rows as a package's shards, and the few lines of card that `datasets` needs."""
    (repository / CONFIG).mkdir(parents=True)
    row_bytes = table.nbytes // table.num_rows
    cuts = plan_shards(range(table.num_rows), row_bytes, variant.shard)
    rows = max(1, variant.batch // row_bytes)
    for index, cut in enumerate(cuts):
        name = shard_name("train", index, len(cuts), variant.encoding)
        with ShardWriter(repository / CONFIG / name, table.schema, variant.encoding) as writer:
            for start in range(cut[0], cut[-1] + 1, rows):
                piece = table.slice(start, min(rows, cut[-1] + 1 - start)).combine_chunks()
                writer.write(piece.to_batches()[0])
    (repository / "README.md").write_text(
        f"---\nconfigs:\n- config_name: {CONFIG}\n  data_files:\n  - split: train\n"
        f"    path: {CONFIG}/train-*.{variant.encoding.format}\n---\n"
    )


def read_here(kind: str, columns: list[str] | None) -> None:
    """Read the repository that a line on stdin names; an empty line asks for the whole pass."""
    import avmit

    for repo_id in map(str.strip, sys.stdin):
        if kind == "datasets":
            from datasets import load_dataset as load

            options: dict[str, Any] = {"path": repo_id, "name": CONFIG}
        else:
            load, options = avmit.load, {"config": CONFIG, "data_dir": repo_id, "columns": columns}
        start = time.perf_counter()
        stream = load(**options, split="train", streaming=True)
        rows = iter(stream)
        next(rows)
        print(time.perf_counter() - start, flush=True)
        del rows
        sys.stdin.readline()
        start = time.perf_counter()
        count = sum(batch.num_rows for batch in stream.with_format("arrow").iter(64))
        print(count / (time.perf_counter() - start), flush=True)


@contextlib.contextmanager
def readers(hub: HubServer) -> Iterator[dict[str, Any]]:
    """Start a process for each reader."""
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": home,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
        }
        yield {
            name: stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, "--reader", name],
                    env=environment,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for name in READERS
        }


def measure(hub: HubServer, process: Any, repo_id: str) -> str:
    hub.reset_counts()
    print(repo_id, file=process.stdin, flush=True)
    first = float(process.stdout.readline())
    time.sleep(0.2)  # what was asked for ahead comes to its end
    text = f"first row {first:5.2f} s, {hub.sent / MB:5.1f} MB, {len(hub.requests):2} requests; "
    hub.reset_counts()
    print(file=process.stdin, flush=True)
    rate = float(process.stdout.readline())
    text += f"pass {rate:5,.0f} rows/s, {hub.sent / MB:5.1f} MB, {len(hub.requests):2} requests"
    return text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1500)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "avmit-bench")
    parser.add_argument("--delay", type=float, default=0.02)
    parser.add_argument("--bandwidth", type=float, default=50e6)
    parser.add_argument("--reader", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        read_here(*READERS[arguments.reader])
        return
    release = make_release(arguments.folder, arguments.records)
    convert(release / "loose", release / "avmit", Options(configs=[CONFIG]))
    shards = sorted((release / "avmit" / CONFIG).glob("train-*"))
    table = pa.concat_tables(pa.ipc.open_stream(path).read_all() for path in shards)
    print(
        f"{table.num_rows:,} rows, {table.nbytes / MB:.0f} MB; {arguments.delay * 1000:g} ms, "
        f"{arguments.bandwidth / MB:g} MB/s"
    )
    with (
        tempfile.TemporaryDirectory(dir=release) as folder,
        HubServer(delay=arguments.delay, bandwidth=arguments.bandwidth) as hub,
        readers(hub) as processes,
    ):
        for number, variant in enumerate([VARIANTS[0], *VARIANTS]):
            repository = Path(folder, str(number))
            write(table if number else table.slice(0, 64), variant, repository)
            hub.put_folder(f"ann/avmit-{number}", repository)
            if number:
                size = sum(path.stat().st_size for path in repository.rglob("*.*"))
                print(f"{variant} ({size / MB:.0f} MB)", flush=True)
            for name, process in processes.items():
                taken = measure(hub, process, f"ann/avmit-{number}")
                if number:  # the first is for the imports
                    print(f"  {name:22} {taken}", flush=True)
        for process in processes.values():
            process.stdin.close()


if __name__ == "__main__":
    main()
