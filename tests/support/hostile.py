"""Shards as damage or malice leaves them, and a process of its own to load them in."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import avmit

LOAD = """
import contextlib, json, os, sys
import avmit

with contextlib.suppress(ImportError):
    import torch  # datasets does when it streams; here it does once for all
cases = json.load(sys.stdin)
told = {}
for name, arguments in cases.items():
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            loaded = avmit.load(**arguments)
            rows = sum(1 for row in loaded)
            said = f"{rows} rows"
        except avmit.AvmitError as error:
            said = f"AvmitError: {error}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    told[name] = said if status == 0 else f"killed by signal {os.WTERMSIG(status)}"
json.dump(told, sys.stdout)
"""


def load_apart(
    cases: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str]
) -> dict[str, str]:
    """Load each case and count its rows in a process that may crash; return what each one said."""
    ran = subprocess.run(
        [sys.executable, "-c", LOAD],
        input=json.dumps(cases),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=Path(avmit.__file__).parent,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    told: dict[str, str] = json.loads(ran.stdout)
    return told


def with_offset(shard: bytes, column: str, value: int) -> bytes:
    """Set the second offset of a column's list or text in an Arrow shard's first batch."""
    buffer = pa.py_buffer(shard)
    batch = next(iter(pa.ipc.open_stream(buffer)))
    offsets = batch.column(column).buffers()[1]
    place = offsets.address - buffer.address + 4
    return shard[:place] + np.int32(value).tobytes() + shard[place + 4 :]


def with_text(shard: bytes, column: str, text: bytes) -> bytes:
    """Write over the start of a text column in an Arrow shard's first batch."""
    buffer = pa.py_buffer(shard)
    batch = next(iter(pa.ipc.open_stream(buffer)))
    place = batch.column(column).buffers()[2].address - buffer.address
    return shard[:place] + text + shard[place + len(text) :]


def with_metadata(shard: bytes, metadata: bytes) -> bytes:
    """Give an Arrow shard another text where `datasets` looks for features."""
    table = pa.ipc.open_stream(shard).read_all()
    return written(table.replace_schema_metadata({b"huggingface": metadata}))


def with_names(shard: bytes, names: Sequence[str]) -> bytes:
    """Give an Arrow shard's columns other names."""
    return written(pa.ipc.open_stream(shard).read_all().rename_columns(names))


def written(table: pa.Table, compression: str | None = None) -> bytes:
    """Return a table as the bytes of an Arrow stream."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data
