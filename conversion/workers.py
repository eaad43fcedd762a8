"""Run shard tasks in worker processes that report progress, stop when told and die with us."""

import concurrent.futures as futures
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from avmit import AvmitError
from conversion.stopped import held_back

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
Advance = Callable[[int], None]
"""Told in a worker of what was done since the last call."""
Progress = Callable[[int, int], None]
"""Told of (what was done since the last call, all there is to do), in a unit of the caller's."""

_POLL_SECONDS = 0.1


class Stopped(Exception):
    """Raised inside a worker when the run is being given up."""


def run_tasks(
    work: Callable[[_Task, Advance], _Result],
    tasks: Sequence[_Task],
    workers: int,
    advance: Advance,
) -> Iterator[tuple[_Task, _Result]]:
    """Yield each task with its result as they finish, in no order.

    `work` calls its second argument with the number of records done since the last call; their sum
    reaches `advance` in this process. With one worker all runs here. Leaving the iteration early,
    by an exception or Ctrl-C too, stops the workers at their next report.

    Raises:
        AvmitError: a worker was killed.
    """
    if workers == 1 or len(tasks) <= 1:
        for task in tasks:
            yield task, work(task, advance)
        return
    # Forked workers need not import everything again, nor be sent the tasks, which would take as
    # long as reading the annotations; elsewhere fork is unsafe or unknown. The first task forks
    # all of them, while no thread of ours runs: a progress bar starts its own later.
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    done, stop = context.Value("q", 0), context.Event()
    pool = futures.ProcessPoolExecutor(
        min(workers, len(tasks)),
        context,
        _start_worker,
        (work, tasks, done, stop, os.getpid()),
    )
    reported = 0
    try:
        with held_back(), warnings.catch_warnings():
            # Python warns of Arrow's threads too, which Arrow itself takes care of at a fork.
            warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
            pending = {pool.submit(_work, index): task for index, task in enumerate(tasks)}
        while pending:
            with held_back():
                finished, _ = futures.wait(pending, _POLL_SECONDS, futures.FIRST_COMPLETED)
            now = done.value
            advance(now - reported)
            reported = now
            for future in finished:
                yield pending.pop(future), future.result()
    except futures.process.BrokenProcessPool:
        raise AvmitError(
            "a worker process was killed, perhaps for want of memory: "
            "run again, with fewer --workers; what is finished is kept"
        ) from None
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


_worker: dict[str, Any] = {}


def _start_worker(work: Any, tasks: Sequence[Any], done: Any, stop: Any, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which tells us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which a broken pool ends its workers
    _worker.update(work=work, tasks=tasks, done=done, stop=stop)

    def die_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=die_with_parent, daemon=True).start()


def _work(index: int) -> Any:
    def advance(records: int) -> None:
        with _worker["done"].get_lock():
            _worker["done"].value += records
        if _worker["stop"].is_set():
            raise Stopped

    return _worker["work"](_worker["tasks"][index], advance)
