"""Which columns of what is there are taken."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from avmit import AvmitError
from experiments.feeding.rows.columns import is_embedding

MODALITIES = ("audio", "visual")


class Column(NamedTuple):
    """The type of a column, and what it was called before a join gave it a suffix."""

    type: pa.DataType
    origin: str


def choose_columns(
    there: Mapping[str, Column], audio: bool, visual: bool, columns: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the names of the embedding columns and of the others that are asked for.

    Raises:
        AvmitError: one is not there, or not of that kind.
    """
    wide = [name for name, column in there.items() if is_embedding(column.type)]
    wanted = {"audio": audio, "visual": visual}
    for modality in MODALITIES:
        if not wanted[modality] or any(there[name].origin == modality for name in wide):
            continue
        if modality in there:
            kind = there[modality].type
            raise AvmitError(f"column '{modality}' is {kind}, not float32 arrays (T, D)")
        raise AvmitError(
            f"no column '{modality}' in these rows ({', '.join(there)}): pass {modality}=False"
        )
    embeddings = [name for name in wide if wanted.get(there[name].origin, True)]
    return embeddings, _others(columns, list(there), wide)


def _others(columns: Sequence[str], there: Sequence[str], wide: Sequence[str]) -> list[str]:
    """Return the columns that are asked for beside the embeddings.

    Raises:
        AvmitError: one is not there, stands twice or is an embedding; or it is a string.
    """
    if isinstance(columns, str):
        instead = "audio=, visual= say" if columns in wide else f'columns=("{columns}",) says'
        raise AvmitError(f"columns='{columns}' is a string, not a list of names: {instead} that")
    names = [str(name) for name in columns]
    for name in names:
        if name not in there:
            raise AvmitError(
                f"no column '{name}' in these rows; there are: {', '.join(there)}; "
                "say which with columns="
            )
        if name in wide:
            raise AvmitError(
                f"'{name}' holds embeddings, which come by themselves; leave them out with "
                "audio=False or visual=False"
            )
        if names.count(name) > 1:
            raise AvmitError(f"columns names '{name}' twice")
    return names
