"""Measure what a short `avmit extract` takes in all: ten clips, whole processes, start-up included.

By an ONNX file alone; and by networks of the layers of YAMNet and EfficientNetB0 (`networks.py`),
exported in a first run and kept. Beside it stand that first run, and one by TensorFlow. Of each,
whether TensorFlow was imported.

    python benchmarks/start_extract.py [--repeat 3]
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made.clips import make_clip
from made.networks import published

from conversion.release.annotations import FILES, TestVideo, Video
from conversion.release.generate import generate_release, write_rows

CHECKOUT = Path(__file__).resolve().parents[1]
CLIPS = 10
PROGRAM = """
import sys
from avmit_cli import main
try:
    main()
finally:
    print("with TensorFlow" if "tensorflow" in sys.modules else "without TensorFlow")
"""


def lay_out(folder: Path) -> None:
    """Make the clips, and the CSV files that rate them."""
    videos = generate_release(folder / "sources", videos_per_label=1, test_per_label=1, sets=())
    videos = videos[:CLIPS]
    tests = [
        TestVideo(v.filename, v.AVMIT_label, v.MIT_label, v.video_location, v.filename, name)
        for v in videos
        if (name := v.tfrecord_filename)
    ]
    for kind, row, rows in (("ratings", Video, videos), ("test_set", TestVideo, tests)):
        (folder / "sources" / FILES[kind]).unlink()
        write_rows(folder / "sources" / FILES[kind], row, rows)
    for number, video in enumerate(videos):
        path = folder / "mit" / video.video_location / video.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        make_clip(path, number)


def extract(folder: Path, *encoders: str) -> tuple[float, float, str]:
    """Make a config anew; return the seconds that pass, those of processors, and what is told."""
    shutil.rmtree(folder / "avmit", ignore_errors=True)
    command = ["extract", "--videos", "mit", "--annotations", "sources", "--out", "avmit"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "AVMIT_CACHE": str(folder / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command, "--config", "mine", *encoders],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used, done.stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        made = published("efficientnet_b0", folder)
        both = ["--audio", "yamnet", "--visual", "efficientnet_b0"]
        for modality, weights in made.weights.items():
            both += [f"--{modality}-weights", str(weights)]
        tell("yamnet + efficientnet_b0, exported", [extract(folder, *both)])
        models = (folder / "cache" / "onnx").glob("*.onnx")
        frames = max(models, key=lambda model: model.stat().st_size)  # of the two
        runs: dict[str, list[tuple[float, float, str]]] = {}
        for _ in range(repeat):
            for title, encoders in (
                ("yamnet + efficientnet_b0, as kept", both),
                ("the same by TensorFlow", [*both, "--backend", "tensorflow"]),
                ("onnx: EfficientNetB0 alone", ["--audio", "none", "--visual", f"onnx:{frames}"]),
            ):
                runs.setdefault(title, []).append(extract(folder, *encoders))
        for title, found in runs.items():
            tell(title, found)


def tell(title: str, runs: list[tuple[float, float, str]]) -> None:
    """Print the least times of some runs."""
    wall, used = (min(run[at] for run in runs) for at in (0, 1))
    print(f"{title:35}{wall:6.2f} s, {used:6.2f} CPU s, {runs[0][2]}", flush=True)


if __name__ == "__main__":
    main()
