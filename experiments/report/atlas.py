"""The Parquet file that embedding-atlas reads: positions, neighbours and the small columns."""

import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avmit import AvmitError
from conversion.package.manifest import read_package
from conversion.whole import whole_path
from conversion.wording import printable
from experiments.report.measures.embeddings import Progress, read_embedded
from experiments.report.measures.maps import COMPONENTS, Kind, position
from experiments.report.measures.nearest import NONE, neighbours

_NEAR = 15


def write_atlas(
    package: Path,
    path: Path,
    config: str,
    modality: str,
    kind: Kind = "pca",
    progress: Progress = lambda done, total: None,
) -> str:
    """Write a config's rows for embedding-atlas, and return the command that shows them.

    `x` and `y` are as on the page; `neighbors` has `ids`, row numbers, and `distances`, 1 minus the
    cosine, of the nearest rows; those of a row that is not finite are none.

    Raises:
        AvmitError: there is no such config or modality, or the file cannot be written.
    """
    manifests = read_package(package)
    there = [f"{name} {column}" for name, m in manifests.items() for column in m.dims]
    if f"{config} {modality}" not in there:
        raise AvmitError(
            f"no {printable(modality)} in '{printable(config)}' of {package}; there are: "
            f"{', '.join(there) or 'none'}"
        )
    if path.suffix != ".parquet":
        raise AvmitError(f"{printable(str(path))}: name a file that ends in .parquet")
    embedded = read_embedded(package, manifests[config], progress)
    matrix = embedded.features.matrix(modality)
    places = position(matrix, kind)
    ids, cosines = neighbours(matrix, np.arange(len(matrix)), _NEAR, COMPONENTS)
    silent = None if embedded.silent is None else set(embedded.silent)
    names = embedded.features.ids
    quiet = [None if silent is None else one in silent for one in names]
    table = pa.table(
        {
            "filename": names,
            "label": embedded.labels,
            "split": embedded.splits,
            "silent": pa.array(quiet, pa.bool_()),
            "x": places[:, 0],
            "y": places[:, 1],
            "neighbors": pa.array(
                [
                    {"ids": of[of != NONE].tolist(), "distances": far[of != NONE].tolist()}
                    for of, far in zip(ids, np.maximum(1 - cosines, 0), strict=True)
                ],
                pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))]),
            ),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_path(path) as temporary:
        pq.write_table(table, temporary)
    columns = "--text filename --x x --y y --neighbors neighbors"
    return f"embedding-atlas {shlex.quote(str(path))} {columns}"
