"""Batches of a stream of `datasets`, whose rows come one record batch after the other."""

from collections.abc import Generator, Iterator, Sequence
from itertools import count, islice, repeat
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.distributed import split_dataset_by_node

from avmit import AvmitError
from conversion.wording import first_line, printable
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
        self._stream = stream.with_format(None)
        self._asked = asked
        self._options = options
        self._ahead = ahead
        self._formatter = formatter(options.format)

    def _most(self, at: Position) -> None:
        return None

    def __iter__(self) -> Generator[dict[str, Any], None, None]:
        return self._through(self._from)

    def _from(self, at: Position) -> Iterator[dict[str, Any]]:
        size = self._options.batch_size
        tables = islice(self._tables(at.epoch), at.position, None)
        came = zip(tables, count(at.position * size, size), strict=False)

        def make(_: None) -> dict[str, Any] | None:
            table, start = next(came, (None, 0))  # reading too is what the thread is for
            return None if table is None else self._make(table, start)

        for batch in made_ahead(make, repeat(None), self._ahead):
            if batch is None:
                return
            yield batch

    def _tables(self, epoch: int) -> Iterator[pa.Table]:
        """Yield the rows of each batch of an epoch."""
        stream, features = self._stream.with_format("arrow"), self._stream.features
        if features is not None and not _has_tables(self._stream):
            stream = self._stream
        stream.set_epoch(epoch)
        batches = stream.iter(self._options.batch_size, drop_last_batch=self._options.drop_last)
        if stream is not self._stream:
            yield from batches
            return
        schema = features.arrow_schema
        wanted = [name for names in _choose(schema, self._asked) for name in names]
        for batch in batches:
            yield pa.table({name: _typed(batch[name], schema.field(name)) for name in wanted})

    def _make(self, table: pa.Table, start: int) -> dict[str, Any]:
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


def _has_tables(stream: datasets.IterableDataset) -> bool:
    """Tell whether a stream has its rows in tables; after map or filter, it has lists of Python's.

    Of those `datasets` would make tables of whatever types a row seems to have.
    """
    return stream._prepare_ex_iterable_for_iteration().iter_arrow is not None  # nothing public is


def _typed(values: list[Any], field: pa.Field) -> pa.Array:
    try:
        return pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise AvmitError(
            f"'{printable(field.name)}' is not {printable(str(field.type))} in all rows of the "
            f"stream, as its features say: {printable(first_line(error))}"
        ) from error


def _choose(
    schema: pa.Schema, asked: tuple[bool, bool, Sequence[str]]
) -> tuple[list[str], list[str]]:
    return choose_columns({field.name: Column(field.type, field.name) for field in schema}, *asked)
