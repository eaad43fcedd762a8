"""`avmit demo`: a generated release, converted, loaded and streamed, with every step shown."""

import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import avmit
from conversion.convert.build import Options, convert
from conversion.release.generate import generate_release
from conversion.workers import Progress


def run_demo(out: Path, progress: Progress) -> Iterator[str]:
    """Generate a release beside `out`, convert it into `out`, read it back; yield what was done.

    Raises:
        AvmitError: `out` cannot be written to.
    """
    if out.name in ("", ".."):
        out = out.resolve()
    source = out.with_name(f"{out.name}-sources")
    yield "1. A small release in the published layout (random values, the real widths)"
    videos = generate_release(source)
    more = sum(video.r1 + video.r2 + video.r3 > 3 for video in videos)
    classes = f"{len(videos)} videos in {len(avmit.TEST_CLASSES)} classes"
    yield f"   {source}: {classes}, {more} rated more than 3 times"

    yield f"2. avmit convert {source} --out {out}"
    start = time.perf_counter()
    built = convert(source, out, Options(), progress)
    seconds = time.perf_counter() - start
    embeddings = [config.manifest for config in built if config.manifest.dims]
    records = sum(m.rows(split) for m in embeddings for split in m.splits)
    yield f"   {len(built)} configs, {records} records in {seconds:.1f} s"

    yield f'3. avmit.load("yamnet_effnet", data_dir="{out}"), mapped into memory'
    loaded = _load("yamnet_effnet", data_dir=out)
    row = loaded["train"].with_format("numpy")[0]
    yield f"   train {len(loaded['train'])} rows, test {len(loaded['test'])} rows"
    label = loaded["train"].features["label"].int2str(int(row["label"]))
    yield (
        f"   first row: {row['filename']} ({label}), "
        f"audio {row['audio'].shape}, visual {row['visual'].shape}, float32"
    )

    yield f'4. avmit.load("vggish_vgg16", "test", data_dir="{out}", streaming=True)'
    stream = _load("vggish_vgg16", "test", data_dir=out, streaming=True)
    names = ", ".join(row["filename"] for row in islice(stream, 3))
    yield f"   first three rows: {names}"

    yield "Next:"
    yield f"   avmit info {out}"
    yield f'   python -c \'import avmit; print(avmit.load("ratings", data_dir="{out}"))\''
    yield "   avmit convert SOURCE --out avmit    with the release from zenodo.org/records/8253350"


def _load(*arguments: Any, **options: Any) -> Any:
    """Load without the warning that this is not the whole release, which nobody thinks it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return avmit.load(*arguments, **options)
