"""The folder of a run: what it was asked for, where it is, and what came of it."""

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from avmit import AvmitError
from conversion.whole import read_regular, write_whole
from conversion.wording import first_line, printable
from experiments.recognise.networks.architecture import Architecture, Weights
from experiments.recognise.runs.history import Epoch, as_csv
from experiments.recognise.runs.settings import Settings

CONFIG, STATE, WEIGHTS = "config.json", "state.npz", "weights.npz"
METRICS, CURVES, RESULTS = "metrics.csv", "curves.png", "results.json"
_LOCK = ".lock"
_MOST = 2**20
_OPTIONS = {
    **{name: f"--{name}" for name in ("task", "config", "rnn", "units", "bottleneck", "dropout")},
    **{name: f"--{name}" for name in ("epochs", "patience", "validation", "seed", "framework")},
    "learning_rate": "--learning-rate",
    "batch_size": "--batch-size",
    "videos": "--choice",
    "per_class": "--per-class",
}
"""What the settings are called that a run is asked for by options of their own."""


@dataclass
class State:
    """Where a run is after an epoch; `best` are the weights that are kept so far."""

    history: list[Epoch]
    weights: Weights
    optimizer: dict[str, Any]
    best: Weights


class RunFolder:
    """A folder that one run writes into, and goes on from."""

    def __init__(self, path: Path):
        self.path = path

    @contextmanager
    def begun(
        self, settings: Settings, data: Mapping[str, Any], made: Architecture, labels: Sequence[str]
    ) -> Iterator[None]:
        """Have the folder to oneself, and write down what is asked for.

        Raises:
            AvmitError: another run is in it, it is another run's, or it holds something else.
        """
        document = {
            "settings": _plain(asdict(settings)),
            "architecture": _plain(asdict(made)),
            "labels": list(labels),
            "data": dict(data),
        }
        config = self.path / CONFIG
        there = sorted(os.listdir(self.path)) if self.path.is_dir() else []  # noqa: PTH208
        if any(name != _LOCK for name in there) and CONFIG not in there:
            raise AvmitError(
                f"{self.path} holds {printable(there[0])} and no run: choose another --out"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AvmitError(f"{self.path} cannot be made ({error.strerror})") from None
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise AvmitError(f"another run writes into {self.path}: wait for it") from None
        try:
            if config.is_file():
                _same(_read_json(config), document, config)
            else:
                write_whole(config, json.dumps(document, indent=2).encode() + b"\n")
            yield
        finally:
            lock.release()

    def load(self) -> State | None:
        """Return where the run is; None if no epoch was finished.

        Raises:
            AvmitError: the file is damaged.
        """
        path = self.path / STATE
        if not path.is_file():
            return None
        arrays = _read_npz(path)
        try:
            history = json.loads(arrays.pop("history").tobytes())
            parts = {
                part: {
                    name.removeprefix(f"{part}/"): array
                    for name, array in arrays.items()
                    if name.startswith(f"{part}/")
                }
                for part in ("weights", "optimizer", "best")
            }
        except (KeyError, ValueError) as error:
            raise _damaged(path, error) from None
        return State(history, **parts)

    def keep(self, state: State) -> None:
        """Write down where the run is, in one file that appears at once; then its metrics."""
        arrays: dict[str, Any] = {
            "history": np.frombuffer(json.dumps(state.history).encode(), np.uint8)
        }
        for part in ("weights", "optimizer", "best"):
            arrays |= {f"{part}/{name}": array for name, array in getattr(state, part).items()}
        write_whole(self.path / STATE, _npz(arrays))
        self.write_metrics(state.history)

    def write_metrics(self, history: Sequence[Epoch]) -> None:
        """Write a row for each epoch."""
        write_whole(self.path / METRICS, as_csv(history))

    def finish(self, best: Weights, results: Mapping[str, Any]) -> None:
        """Write down what came of the run, and the weights that are kept."""
        write_whole(self.path / WEIGHTS, _npz(best))
        write_whole(self.path / RESULTS, json.dumps(results, indent=2).encode() + b"\n")


def read_run(folder: Path) -> tuple[dict[str, Any], Weights]:
    """Return the config and the kept weights of a finished run.

    Raises:
        AvmitError: it is not finished, or damaged.
    """
    config = _read_json(folder / CONFIG)
    if not (folder / WEIGHTS).is_file():
        raise AvmitError(f"the run in {folder} is not finished: run it again, and it goes on")
    return config, _read_npz(folder / WEIGHTS)


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return what came of a run; None if it is not finished.

    Raises:
        AvmitError: the file is damaged.
    """
    return _read_json(folder / RESULTS) if (folder / RESULTS).is_file() else None


def _same(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with a run that was asked for something else."""
    for part in ("settings", "data", "architecture", "labels"):
        old, new = before.get(part), now[part]
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            name = next(key for key in {**old, **new} if old.get(key) != new.get(key))
            was, asked = old.get(name), new.get(name)
            said = f"{_OPTIONS.get(name, name)} {was}, not {asked}"
        else:
            said = f"other {part}"
        raise AvmitError(
            f"{path} is of a run with {printable(said)}: pass the same options to go on, or "
            "choose another --out"
        )


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return json.loads(json.dumps(value))


def _npz(arrays: Mapping[str, Any]) -> bytes:
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_regular(path, _MOST))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    if not isinstance(document, dict):
        raise _damaged(path, ValueError("it holds no object"))
    return document


def _damaged(path: Path, error: Exception) -> AvmitError:
    return AvmitError(
        f"{path} cannot be read ({printable(first_line(error))}): take it from a copy, or train "
        "again into another --out"
    )
