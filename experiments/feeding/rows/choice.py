"""Which columns of what is there are taken."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from avmit import AvmitError
from conversion.wording import printable
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
            raise AvmitError(
                f"column '{modality}' is {printable(str(kind))}, not float32 arrays (T, D): pass "
                f"{modality}=False, or features= to map if that made it so"
            )
        raise AvmitError(
            f"no column '{modality}' in these rows ({_named(there)}): pass {modality}=False"
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
    names = listed(columns)
    for name in names:
        if name not in there:
            raise AvmitError(
                f"no column '{printable(name)}' in these rows; there are: {_named(there)}; "
                "say which with columns="
            )
        if name in wide:
            raise AvmitError(
                f"'{printable(name)}' holds embeddings, which come by themselves; leave them out "
                "with audio=False or visual=False"
            )
        if names.count(name) > 1:
            raise AvmitError(f"columns names '{printable(name)}' twice")
    return list(names)


def listed(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names that `columns` gives, which may be an iterator.

    Raises:
        AvmitError: it gives none.
    """
    try:
        return tuple(map(str, columns))
    except TypeError:
        raise AvmitError(f"columns={columns!r} is not a list of names") from None


def _named(names: Iterable[str]) -> str:
    return ", ".join(map(printable, names))
