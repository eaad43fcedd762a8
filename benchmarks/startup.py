"""Measure what users wait for before anything happens, as processor time of whole processes.

    python benchmarks/startup.py [--repeats 7]

User and system time, the least of several rounds, in each of which every program runs once: other
work on the machine adds to it little, and never takes away. The ratios, to a Python that does
nothing and to `import datasets`, are what can be compared between machines.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
NOTHING = "python -c pass"
DATASETS = "import datasets"
COMMAND = [sys.executable, "-m", "avmit_cli"]  # as the installed `avmit` does
PROGRAMS = {
    NOTHING: [sys.executable, "-c", "pass"],
    DATASETS: [sys.executable, "-c", "import datasets"],
    "import avmit": [sys.executable, "-c", "import avmit"],
    "avmit --version": [*COMMAND, "--version"],
    "avmit --help": [*COMMAND, "--help"],
    "avmit convert --help": [*COMMAND, "convert", "--help"],
    "avmit info": [*COMMAND, "info", "avmit"],
}


def processor_seconds(command: list[str], folder: Path) -> float:
    """Run a program in `folder`, and return its user and system time."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "HF_HUB_OFFLINE": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    found: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        processor_seconds([*COMMAND, "demo", "--out", "avmit"], folder)
        for _ in range(repeats):
            for name, command in PROGRAMS.items():
                found[name].append(processor_seconds(command, folder))
    least = {name: min(seconds) for name, seconds in found.items()}
    print(f"{'':22}{'seconds':>8}{f'/ {NOTHING}':>20}{f'/ {DATASETS}':>20}")
    for name, seconds in least.items():
        ratios = f"{seconds / least[NOTHING]:>20.1f}{seconds / least[DATASETS]:>20.2f}"
        print(f"{name:22}{seconds:8.3f}{ratios}")


if __name__ == "__main__":
    main()
