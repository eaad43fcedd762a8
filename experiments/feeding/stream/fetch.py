"""Bringing record batches, checked, with some of their columns."""

from collections.abc import Sequence

import pyarrow as pa

from avmit import AvmitError
from conversion.package.index.batch import BatchReader
from experiments.feeding.stream.source import logger
from experiments.feeding.stream.split import Located, Split

_GAP = 20
"""Bytes between two columns are fetched along where they are less than a 20th of the columns'."""
_TRIES = 3


class Fetcher:
    """Brings record batches of a split with the columns of these names; threads may use it at once.

    Raises:
        AvmitError: the index makes no sense, or has no such column.
    """

    def __init__(self, split: Split, columns: Sequence[str]):
        self._split = split
        self._columns = tuple(columns)
        self._reader = self._open()

    def _open(self) -> BatchReader:
        try:
            return BatchReader(self._split.index, self._columns)
        except ValueError as error:
            raise AvmitError(f"the index of {self._split.source.name}: {error}") from None

    def fetch(self, number: int) -> pa.RecordBatch:
        """Return a record batch by its number in the split.

        Raises:
            AvmitError: it cannot be read, or other bytes came than the index says, each time.
        """
        located = self._split.batches[number]
        for attempt in range(1, _TRIES + 1):
            try:
                return self._read(located)
            except ValueError as error:
                name = f"{located.shard} of {self._split.source.name}"
                if attempt == _TRIES:
                    raise AvmitError(
                        f"{name}, the record batch at byte {located.batch.offset:,}: {error}, "
                        f"{_TRIES} times; try again later, or ask its owner to make it again"
                    ) from None
                logger.info("%s, byte %d: %s, trying again", name, located.batch.offset, error)
        raise AssertionError

    def _read(self, located: Located) -> pa.RecordBatch:
        batch = located.batch
        wanted = sum(length for _, length in self._reader.ranges(batch))
        pieces = {
            start: self._split.source.read(located.shard, batch.body_offset + start, length)
            for start, length in self._reader.ranges(batch, gap=wanted // _GAP)
        }
        return self._reader.read(batch, pieces)

    def __getstate__(self) -> dict[str, object]:
        return {"split": self._split, "columns": self._columns}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(**state)  # type: ignore[misc]
