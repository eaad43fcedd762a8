"""Batches of a stream of `datasets`, whose rows come one record batch after the other."""

from collections.abc import Iterator, Sequence
from itertools import count, islice, repeat
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.distributed import split_dataset_by_node

from avmit import AvmitError
from experiments.feeding.batches.ahead import made_ahead
from experiments.feeding.batches.collate import entries, put_together
from experiments.feeding.batches.formats import formatter
from experiments.feeding.batches.options import BatchOptions
from experiments.feeding.batches.position import Epochs, Position
from experiments.feeding.rows import Taken
from experiments.feeding.rows.choice import Column, choose_columns, listed
from experiments.feeding.rows.columns import EmbeddingColumn, PlainColumn


class StreamBatches(Epochs):
    """An epoch of a stream's batches each time it is iterated over; made by `avmit.batches`.

    How many there are is not known beforehand. To go on, the rows before are read again: `skip` of
    `datasets` forgets the epoch of a shuffled stream, and which rank's rows it skips.
    """

    def __init__(
        self,
        stream: datasets.IterableDataset,
        asked: tuple[bool, bool, Sequence[str]],
        options: BatchOptions,
        ahead: int,
    ):
        if options.shuffle:
            raise AvmitError(
                "a stream comes in its own order: pass shuffle=False, and shuffle it before with "
                "stream.shuffle(seed=..., buffer_size=...)"
            )
        super().__init__(options.seed, options.epoch)
        audio, visual, columns = asked
        asked = audio, visual, columns if isinstance(columns, str) else listed(columns)
        if stream.features is not None:
            # Tell now what would fail later.
            entries(*_choose(stream.features.arrow_schema, asked), options.layout)
        if options.world_size > 1:
            stream = split_dataset_by_node(stream, options.rank, options.world_size)
        self._stream = stream.with_format("arrow")
        self._asked = asked
        self._options = options
        self._ahead = ahead
        self._formatter = formatter(options.format)

    def _most(self, at: Position) -> None:
        return None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._through(self._from)

    def _from(self, at: Position) -> Iterator[dict[str, Any]]:
        size = self._options.batch_size
        self._stream.set_epoch(at.epoch)
        tables = self._stream.iter(size, drop_last_batch=self._options.drop_last)
        came = islice(zip(tables, count(0, size), strict=False), at.position, None)

        def make(_: None) -> dict[str, Any] | None:
            table, start = next(came, (None, 0))  # reading too is what the thread is for
            return None if table is None else self._make(table, start)

        for batch in made_ahead(make, repeat(None), self._ahead):
            if batch is None:
                return
            yield batch

    def _make(self, table: pa.Table, start: int) -> dict[str, Any]:
        if self._stream.features is not None:
            # What went through lists of Python's, as by map, comes without its types.
            table = datasets.table.table_cast(table, self._stream.features.arrow_schema)
        wide, others = _choose(table.schema, self._asked)
        all_rows = np.arange(table.num_rows)
        embeddings = [EmbeddingColumn(name, table.column(name)) for name in wide]
        values = [PlainColumn(name, table.column(name), gaps=False) for name in others]
        taken = Taken(
            {column.name: column.take(all_rows) for column in embeddings},
            {column.name: column.take(all_rows) for column in values},
        )
        widths = {column.name: column.width for column in embeddings}

        def said(name: str, row: int) -> str:
            return f"{name} of row {start + row} of the stream"

        timesteps = dict.fromkeys(wide, self._options.timesteps)
        return put_together(taken, widths, timesteps, self._options, self._formatter, said)

    def __repr__(self) -> str:
        options = self._options
        return f"StreamBatches(of {options.batch_size}, {options.format})"


def _choose(
    schema: pa.Schema, asked: tuple[bool, bool, Sequence[str]]
) -> tuple[list[str], list[str]]:
    return choose_columns({field.name: Column(field.type, field.name) for field in schema}, *asked)
