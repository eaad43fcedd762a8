"""Making the next batches in the background while one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Made = TypeVar("Made")


def made_ahead(make: Callable[[Task], Made], tasks: Iterable[Task], ahead: int) -> Iterator[Made]:
    """Yield `make(task)` of each task in order, with up to `ahead` of them made beforehand.

    Copying rows leaves the interpreter to other threads. What is raised comes in its turn. When the
    iterator is closed, or nobody holds it any longer, no more is made.
    """
    if ahead == 0:
        yield from map(make, tasks)
        return
    waiting: deque[Future[Made]] = deque()
    coming = iter(tasks)
    pool = ThreadPoolExecutor(1, thread_name_prefix="avmit-batches")
    try:
        for task in coming:
            waiting.append(pool.submit(make, task))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
