"""Put items of many videos into batches of one size, and deal the embeddings out again."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from avmit import AvmitError
from extraction.encoders.arrays import Item, Items, Matrix, stack
from extraction.encoders.base import Side, matrices
from extraction.encoders.foreign import explain, no_exit
from extraction.encoders.settings import Modality

Counts = dict[Modality, int]
"""How many items a video had for the networks that take batches."""


def batch_start(done: Sequence[int], batch: int) -> tuple[int, int]:
    """Return the video in which the first unfinished batch begins, and how many items into it.

    `done` has the items of each video before; a `batch` of 0 says that there are no batches.
    """
    if not batch:
        return len(done), 0
    before = sum(done)
    start = before - before % batch
    video = len(done)
    while before > start:
        video -= 1
        before -= done[video]
    return video, start - before


class Batches:
    """Items on their way through a network, a batch at a time, the first `skipped` left out.

    Where the network computes several batches at a time, threads do.
    """

    def __init__(self, side: Side, skipped: int):
        self._name = side.encoder.name
        self._network = network = side.network
        self._skipped = skipped
        self._items: deque[Item] = deque()
        self._running: deque[Future[list[Matrix]]] = deque()
        self._embeddings: deque[Matrix] = deque()
        self._pool = None
        if network.workers > 1:
            self._pool = ThreadPoolExecutor(network.workers, "avmit-network", network.start_worker)

    def add(self, items: Sequence[Item]) -> int:
        """Take a video's items in, compute full batches, and count those that are not left out."""
        new = items[self._skipped :]
        self._skipped = max(0, self._skipped - len(items))
        self._items.extend(new)
        while len(self._items) >= self._network.batch > 0:
            self._run(self._network.batch)
        return len(new)

    def finish(self) -> None:
        """Compute the last batch, which is not full."""
        if self._items:
            self._run(len(self._items))
        while self._running:
            self._collect()

    def ready(self, count: int) -> bool:
        """Tell whether the next `count` items are done."""
        while self._running and self._running[0].done():
            self._collect()
        return count <= len(self._embeddings)

    def take(self, count: int) -> Matrix:
        """Return the embeddings of the next `count` items."""
        found = [self._embeddings.popleft() for _ in range(count)]
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _run(self, count: int) -> None:
        items = stack([self._items.popleft() for _ in range(count)])
        if self._pool is None:
            self._embeddings.extend(self._compute(items))
            return
        self._running.append(self._pool.submit(self._compute, items))
        # One more than there are threads, so that none has to wait for us.
        while len(self._running) > self._network.workers + 1:
            self._collect()

    def _compute(self, items: Items) -> list[Matrix]:
        try:
            with no_exit(self._name):
                return matrices(self._network.encode(items))
        except AvmitError:
            raise
        except Exception as error:  # networks raise what they like
            raise AvmitError(
                f"{self._name} fails on a batch ({explain(error)}): see what "
                f"`avmit encoders check {self._name}` says"
            ) from error

    def _collect(self) -> None:
        self._embeddings.extend(self._running.popleft().result())
