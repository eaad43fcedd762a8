"""Parts looked at through row numbers, and their small columns in the order of the rows."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import NOT_THERE, Numbers, is_embedding


def seen(part: Part, rows: Numbers) -> Part:
    """Return a part of which these rows are seen, by their numbers in it; NOT_THERE stays so."""
    if part.rows is not None:
        # NOT_THERE, which is -1, finds the one at the end.
        rows = np.append(part.rows, NOT_THERE)[rows]
    return Part(part.dataset, part.names, rows)


def small_names(parts: Sequence[Part]) -> list[str]:
    """Return the names of the columns that are no embeddings."""
    return [
        name for part in parts for name in part.names if not is_embedding(part.column(name).type)
    ]


def small_columns(parts: Sequence[Part], names: Sequence[str]) -> pa.Table:
    """Return these columns, of which none is an embedding, in the order of the rows.

    What a join did not find is null. Nothing else of the underlying tables is read.
    """
    columns = {}
    for part in parts:
        wanted = [name for name in names if name in part.names]
        if not wanted:
            continue
        rows = part.at(np.arange(len(part)))
        whole = len(rows) == len(part.dataset.data) and bool((rows == np.arange(len(rows))).all())
        chosen = None if whole else pa.array(rows, mask=rows == NOT_THERE)
        for name in wanted:
            column = part.column(name)
            # Taken from many record batches, each would be looked through.
            columns[name] = column if chosen is None else column.combine_chunks().take(chosen)
    return pa.table({name: columns[name] for name in names})
