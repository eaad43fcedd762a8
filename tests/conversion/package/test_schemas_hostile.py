"""Shards whose sums are right and whose columns are not those of their config."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from support.commands import Run
from support.damage import EMBEDDINGS, TEST, TRAIN, failures, put, read, tamper

from avmit import AvmitError
from conversion.package.manifest import read_manifest
from conversion.package.schema import read_features


def _as(column: str, values: pa.Array | None = None, type: pa.DataType | None = None) -> Any:
    def change(table: pa.Table) -> pa.Table:
        array = table[column].cast(type) if values is None else values
        index = table.schema.get_field_index(column)
        return table.set_column(index, pa.field(column, array.type), array)

    return change


def _described(metadata: bytes) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.replace_schema_metadata({"huggingface": metadata})


ROWS = 16  # of a shard in test
SCHEMAS: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "record an int": (
        _as("tfrecord_filename", pa.array(range(ROWS))),
        "tfrecord_filename is int64, not string",
    ),
    "record binary": (
        _as("tfrecord_filename", type=pa.binary()),
        "tfrecord_filename is binary, not string",
    ),
    "label a string": (
        _as("label", pa.array(["barking"] * ROWS)),
        "label is string, not int64",
    ),
    "filename an int": (
        _as("filename", pa.array(range(ROWS))),
        "filename is int64, not string",
    ),
    "audio a string": (
        _as("audio", pa.array(["la"] * ROWS)),
        "audio is string, not list<item: fixed_size_list<item: float>[128]>",
    ),
    "no label": (lambda table: table.drop_columns(["label"]), "no column label"),
    "metadata too deep": (
        _described(b"[" * 100_000),
        "its metadata does not describe features that datasets can read",
    ),
    "metadata of features too deep": (
        _described(
            b'{"info": {"features": {"audio": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}}}"
        ),
        "its metadata does not describe features that datasets can read",
    ),
    "metadata of an unknown kind": (
        _described(json.dumps({"info": {"features": {"audio": {"_type": "Nothing"}}}}).encode()),
        "its metadata does not describe features that datasets can read",
    ),
}


@pytest.mark.parametrize("case", list(SCHEMAS))
def test_columns_of_another_kind(copied: Path, run: Run, tmp_path: Path, case: str) -> None:
    change, problem = SCHEMAS[case]
    tamper(copied, EMBEDDINGS, TEST, change)
    line = f"avmit: {copied / EMBEDDINGS / TEST}: {problem}"
    for arguments in (
        ["export", copied, "--config", EMBEDDINGS, "--out", "out", "--workers", 1],
        ["compare", copied, EMBEDDINGS, EMBEDDINGS],
    ):
        ran = run(*arguments)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
        assert ran.err.startswith(line)
    assert not (tmp_path / "out").exists()
    found = [text for name, where, text in failures(copied) if name == "schema"]
    assert [text.startswith(problem) for text in found] == [True]


def test_two_columns_of_one_name(copied: Path, run: Run) -> None:
    table = read(copied, EMBEDDINGS, TEST)
    twice = pa.table([*table.columns, table["audio"]], schema=table.schema.append(
        table.schema.field("audio")
    ))  # fmt: skip
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, twice.schema) as writer:
        writer.write_table(twice)
    put(copied, EMBEDDINGS, TEST, sink.getvalue().to_pybytes())
    line = f"avmit: {copied / EMBEDDINGS / TEST} has two columns of one name: bring the shard again"
    ran = run("export", copied, "--config", EMBEDDINGS, "--out", "out", "--workers", 1)
    assert (ran.code, ran.out, ran.err) == (1, "", f"{line}\n")
    ran = run("compare", copied, EMBEDDINGS, EMBEDDINGS)
    assert (ran.code, ran.out, ran.err) == (1, "", f"{line}\n")


def test_nulls_are_refused_by_compare(copied: Path, run: Run) -> None:
    def with_null(table: pa.Table) -> pa.Table:
        field = table.schema.field("audio")
        rows = [None, *table["audio"].to_pylist()[1:]]
        return table.set_column(
            table.schema.get_field_index("audio"), field, pa.array(rows, field.type)
        )

    tamper(copied, EMBEDDINGS, TEST, with_null)
    ran = run("compare", copied, EMBEDDINGS, EMBEDDINGS)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"avmit: {copied / EMBEDDINGS / TEST} has nulls, which no row has: "
        "make or fetch the config again\n"
    )


@pytest.mark.parametrize("metadata", [b"[" * 100_000, b"5", b'{"info": {"features": [1]}}'])
def test_features_that_datasets_cannot_read(copied: Path, run: Run, metadata: bytes) -> None:
    tamper(copied, EMBEDDINGS, TRAIN[0], _described(metadata))
    with pytest.raises(AvmitError) as refused:
        read_features(copied / EMBEDDINGS, read_manifest(copied / EMBEDDINGS))
    assert str(refused.value) == (
        f"{copied / EMBEDDINGS / TRAIN[0]}: its metadata does not describe features that datasets "
        "can read: bring the shard again"
    )
    ran = run("card", copied)
    assert (ran.code, ran.out, ran.err) == (1, "", f"avmit: {refused.value}\n")
    assert isinstance(read_features(copied / "ratings", read_manifest(copied / "ratings")),
                      datasets.Features)  # fmt: skip
