"""A file a task that says where it is, written anew every few seconds, and why it failed."""

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from conversion.parts.agreed import canonical
from conversion.parts.place import PlanFolder
from conversion.whole import write_whole
from conversion.wording import first_line

BEAT_SECONDS = 5.0

_LONGEST_LINES = 2000  # characters of what a failure says
_FROM_ENVIRONMENT = {
    "slurm_job": "SLURM_JOB_ID",
    "slurm_array": "SLURM_ARRAY_JOB_ID",
    "slurm_task": "SLURM_ARRAY_TASK_ID",
    "slurm_restarts": "SLURM_RESTART_COUNT",
    "ray_job": "RAY_JOB_ID",
    "ray_node": "RAY_NODE_ID",
    "gpus": "CUDA_VISIBLE_DEVICES",
}


class Heartbeat:
    """Says in a file of its own what this task is at; a context manager.

    What cannot be written is let be: no work stops for it. A task that ends without a failure
    leaves no file.
    """

    def __init__(self, folder: PlanFolder, token: str):
        self._file = folder.tasks / f"{token}.json"
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="avmit-heartbeat", daemon=True)
        self._said: dict[str, object] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "ids": _ids(os.environ),
            "shard": None,
            "since": None,
            "done": 0,
            "of": 0,
            "failed": {},
        }
        self._done = 0
        self._failed: dict[str, str] = {}

    def begin(self, shard: str, of: int) -> None:
        """Say that a shard of so many videos is begun."""
        with self._lock:
            self._done = 0
            self._said |= {"shard": shard, "since": time.time(), "of": of}
        self.say()

    def advance(self, done: int) -> None:
        """Say that so many more of its videos are done."""
        self._done += done

    def end(self, failure: str | None = None) -> None:
        """Say that the shard is done, or why it is not."""
        with self._lock:
            if failure is not None:
                self._failed[str(self._said["shard"])] = failure[-_LONGEST_LINES:]
            self._said |= {"shard": None, "since": None, "of": 0}
            self._done = 0
        self.say()

    def say(self) -> None:
        """Write the file."""
        with self._lock:
            content = {**self._said, "done": self._done, "failed": self._failed, "now": time.time()}
            with suppress(OSError):
                write_whole(self._file, canonical(content), durable=False)

    def __enter__(self) -> "Heartbeat":
        self.say()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if kind is not None and self._said["shard"] is not None:
            self.end(_stopped(kind, error))
        if not self._failed:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            self.say()


def _ids(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the engine calls this task, as far as it says so in the environment."""
    found = {name: environment.get(variable) for name, variable in _FROM_ENVIRONMENT.items()}
    return {name: value for name, value in found.items() if value}


def _stopped(kind: type[BaseException], error: BaseException | None) -> str:
    """Say what ended a task that is no error of the user's."""
    if not issubclass(kind, Exception):
        return "interrupted"
    return f"{kind.__name__}: {first_line(error)}" if error is not None else kind.__name__
