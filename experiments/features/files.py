"""Features in files that other programs read: HDF5, NumPy's npz, MATLAB's mat, CSV.

The same features give the same bytes: neither format's clock is in them.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from avmit import AvmitError
from conversion.cores import usable_cores
from conversion.spelled import argument, spelled
from conversion.whole import whole_path, write_whole
from conversion.wording import first_line, printable
from experiments.extras import require

if TYPE_CHECKING:
    from experiments.features.dense import Features

_EXTRA = "'avmit[features]'"
_CSV_ROWS = 512
"""Rows that are made text together: fewer take longer, more take more memory."""

_CSV_THREADS = 8
"""The most that make text at a time, each with 50 MB of it for rows of 2,304 values."""
_MATLAB_NAME = re.compile(r"[A-Za-z]\w{0,62}", re.ASCII)
_MATLAB_HEADER = 116
"""Bytes of text at the start of a .mat file, where a clock's time stands (MAT-File Format,
MathWorks, level 5)."""


def save(features: "Features", path: Path, overwrite: bool) -> None:
    """Write features to a file; see `Features.save`.

    Raises:
        AvmitError: as there.
    """
    check_path(path, features.pool, overwrite)
    try:
        with whole_path(path) as temporary:
            _WRITERS[path.suffix.lower()](features, temporary)
            if path.suffix.lower() == ".csv":
                text = json.dumps(features.description, indent=2, ensure_ascii=False) + "\n"
                write_whole(_beside(path), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        if error.errno is None:
            raise
        raise AvmitError(f"{printable(str(path))} cannot be written ({error.strerror})") from error


def check_path(path: Path, pool: str, overwrite: bool) -> None:
    """Refuse a file that could not be written, before what goes into it is made.

    Raises:
        AvmitError: the ending names no format, or one that cannot hold the pooling; or the file is
            there already.
    """
    shown = printable(str(path))
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise AvmitError(f"{shown} does not say in which format: end it in {', '.join(_WRITERS)}")
    if suffix == ".csv" and pool == "none":
        raise AvmitError(
            spelled(
                f"{shown}: ",
                argument("pool", "none"),
                " has three dimensions and a CSV two: name an .h5 file",
            )
        )
    if suffix in _NEEDS:
        require(_NEEDS[suffix], f"writing {suffix} files", _EXTRA)
    if not path.parent.is_dir():
        raise AvmitError(f"{shown}: no folder {printable(str(path.parent))}: make it first")
    for one in (path, *([_beside(path)] if suffix == ".csv" else [])):
        if one.is_dir() or (one.exists() and not overwrite):
            raise AvmitError(
                spelled(
                    f"{printable(str(one))} is there already: name another, or pass ",
                    argument("overwrite", True),
                )
            )


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _columns(features: "Features") -> Iterator[tuple[str, Any]]:
    """Yield what is known of each row, by name: a list of text or an array."""
    yield features.id_name, features.ids
    if features.labels is not None:
        yield "label", features.labels
        yield "label_name", features.label_names
    for name, lengths in features.lengths.items():
        yield f"{name}_lengths", lengths


def _write_h5(features: "Features", path: Path) -> None:
    h5py = require("h5py", "writing .h5 files", _EXTRA)
    text = h5py.string_dtype("utf-8")
    with h5py.File(path, "w") as file:
        for name, value in features.description.items():
            if not isinstance(value, dict):
                file.attrs[name] = value
        for name, values in _columns(features):
            kind = {"dtype": text} if isinstance(values, list) else {}
            file.create_dataset(name, data=values, track_times=False, **kind)
        if features.classes:
            file.create_dataset("classes", data=features.classes, dtype=text, track_times=False)
        for name, matrix in features.matrices.items():
            made = file.create_dataset(name, data=matrix, track_times=False)
            for key, value in features.description.get(name, {}).items():
                made.attrs[key] = value


def _write_npz(features: "Features", path: Path) -> None:
    arrays: dict[str, Any] = {
        name: np.array(values, str) if isinstance(values, list) else values
        for name, values in _columns(features)
    }
    arrays["classes"] = np.array(features.classes, str)
    arrays["description"] = np.array(json.dumps(features.description, ensure_ascii=False))
    arrays |= features.matrices
    with path.open("wb") as file:
        # Its members have the time that a zip file begins to count at.
        np.savez(file, **arrays)


def _write_mat(features: "Features", path: Path) -> None:
    io = require("scipy.io", "writing .mat files", _EXTRA)
    content: dict[str, Any] = {}
    for name, values in _columns(features):
        content[name] = _cells(values) if isinstance(values, list) else values[:, None]
    content["classes"] = _cells(features.classes)
    content["description"] = json.dumps(features.description, ensure_ascii=False)
    content = {**features.matrices, **content}
    for name in content:
        if not _MATLAB_NAME.fullmatch(name):
            raise AvmitError(
                f"'{printable(name)}' names no variable in MATLAB: rename the column, or name an "
                ".h5 file"
            )
    with path.open("r+b") as file:
        try:
            io.savemat(file, content)
        except Exception as error:
            if type(error).__name__ != "MatWriteError":
                raise
            raise AvmitError(
                f"a .mat file cannot hold this ({printable(first_line(error))}): name an .h5 file"
            ) from error
        file.seek(0)
        file.write(b"MATLAB 5.0 MAT-file, written by avmit".ljust(_MATLAB_HEADER))


def _cells(values: list[str]) -> Any:
    cells = np.empty((len(values), 1), object)
    cells[:, 0] = values
    return cells


def _write_csv(features: "Features", path: Path) -> None:
    columns = dict(_columns(features))
    fields = [
        (name, pa.string() if isinstance(values, list) else pa.int64())
        for name, values in columns.items()
    ]
    for name, matrix in features.matrices.items():
        fields += [(f"{name}_{number}", pa.float32()) for number in range(matrix.shape[1])]
    schema = pa.schema(fields)

    def text(start: int) -> pa.Buffer:
        rows = slice(start, start + _CSV_ROWS)
        arrays = [pa.array(values[rows]) for values in columns.values()]
        for matrix in features.matrices.values():
            arrays += map(pa.array, np.ascontiguousarray(matrix[rows].T))
        sink = pa.BufferOutputStream()
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        pa.csv.write_csv(batch, sink, pa.csv.WriteOptions(include_header=start == 0))
        return sink.getvalue()

    threads = min(usable_cores(), _CSV_THREADS)
    with path.open("wb") as file, ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[pa.Buffer]] = deque()
        for start in range(0, max(len(features), 1), _CSV_ROWS):
            if len(coming) > threads:
                file.write(coming.popleft().result())
            coming.append(pool.submit(text, start))
        while coming:
            file.write(coming.popleft().result())


_WRITERS: dict[str, Callable[["Features", Path], None]] = {
    ".h5": _write_h5,
    ".npz": _write_npz,
    ".mat": _write_mat,
    ".csv": _write_csv,
}
_NEEDS = {".h5": "h5py", ".mat": "scipy.io"}
