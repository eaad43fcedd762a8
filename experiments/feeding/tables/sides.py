"""What can be joined, made parts: datasets, joins, tables of pandas and Arrow, and files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from avmit import AvmitError
from conversion.wording import first_line, printable
from experiments.feeding.rows import Part
from experiments.feeding.rows.part import Parted, parts_of

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_PARQUET = {".parquet", ".pq"}
_COMPRESSED = {".gz", ".bz2"}


@dataclass(frozen=True)
class Side:
    """One side of a join, and how errors call it."""

    name: str
    parts: tuple[Part, ...]

    @property
    def column_names(self) -> list[str]:
        """The names of its columns."""
        return [name for part in self.parts for name in part.names]

    def __len__(self) -> int:
        return len(self.parts[0])


def side(source: Any, name: str) -> Side:
    """Return what is given as a side of a join, which errors call `name`, or by its file's name.

    Raises:
        AvmitError: it is nothing that has rows, or a file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name = printable(path.name)
        return Side(name, _parts(_read(path), name))
    with _telling_of(name):
        if isinstance(source, pd.DataFrame):
            # An index of names, such as the files', is a column; a count of rows is none.
            named = any(level is not None for level in source.index.names)
            return Side(name, _parts(pa.Table.from_pandas(source, preserve_index=named), name))
        if isinstance(source, (pa.Table, pa.RecordBatch)) or hasattr(source, "__arrow_c_stream__"):
            table = source if isinstance(source, pa.Table) else pa.table(source)
            return Side(name, _parts(table, name))
    # After those tables, of which one may have a column named `parts`. Of splits and streams it
    # says what to do with them.
    if isinstance(source, (datasets.Dataset, Parted, dict, datasets.IterableDataset)):
        return Side(name, parts_of(source))
    raise AvmitError(
        f"a {type(source).__name__} is no table: join what avmit.load or load_dataset returns, "
        "tables of pandas or Arrow, and paths of CSV, TSV or Parquet files"
    )


def _read(path: Path) -> pa.Table:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _COMPRESSED]
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in _DELIMITERS and suffix not in _PARQUET:
        raise AvmitError(
            f"{printable(str(path))} is no table that can be read: give a file that ends in .csv, "
            f'.tsv or .parquet, or a config as avmit.load("{printable(path.name)}", "train")'
        )
    if path.is_dir():
        raise AvmitError(f"{printable(str(path))} is a folder: give a file in it")
    with _telling_of(str(path)):
        if suffix in _PARQUET:
            return pa.parquet.read_table(path)
        table = pa.csv.read_csv(
            path,
            parse_options=pa.csv.ParseOptions(
                delimiter=_DELIMITERS[suffix], newlines_in_values=True
            ),
            # As pandas does: an empty field and n/a say that nothing is there, in text too.
            convert_options=pa.csv.ConvertOptions(strings_can_be_null=True),
        )
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise AvmitError(
                f"{printable(str(path))}: column '{printable(field.name)}' is not UTF-8: save the "
                "file as UTF-8"
            )
    return table


def _parts(table: pa.Table, name: str) -> tuple[Part, ...]:
    """Make a table a part, in memory."""
    names = table.column_names
    for column in names:
        if names.count(column) > 1:
            raise AvmitError(f"{name} has two columns '{printable(column)}': name each once")
    with _telling_of(name):
        plain = pa.table({column: _plain(table[column]) for column in names})
        # What `datasets` knows of the columns, such as the names of labels, it keeps there.
        known = {k: v for k, v in (table.schema.metadata or {}).items() if k == b"huggingface"}
        dataset = datasets.Dataset(plain.replace_schema_metadata(known))
    return (Part(dataset, {column: column for column in names}),)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column whose text is of the kind that all versions of `datasets` know."""
    kind = column.type
    if pa.types.is_dictionary(kind):  # pandas' Categorical
        column = column.cast(kind.value_type)
        kind = column.type
    if str(kind) == "string_view":
        return column.cast(pa.large_string())
    return column


@contextmanager
def _telling_of(name: str) -> Iterator[None]:
    """Raise what goes wrong with a table inside as an AvmitError of one line that names it."""
    try:
        yield
    except AvmitError:
        raise
    except OSError as error:
        # Arrow's own names the file, which is long, and where in its code it is.
        reason = os.strerror(error.errno) if error.errno else printable(first_line(error))
        raise AvmitError(f"{printable(name)} cannot be read ({reason})") from error
    except Exception as error:  # of any kind: columns of all kinds come from outside
        reason = printable(first_line(error))
        raise AvmitError(f"{printable(name)} cannot be read as a table ({reason})") from error
