"""Check the rows of a config of a list's videos, which there is nothing else in a package to check
against.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from conversion.package.manifest import LISTED_KEY, Manifest
from conversion.verify.check import Check, judged
from conversion.verify.rows import rows_of, twice, without_row


def listed_checks(
    folder: Path, manifest: Manifest, splits: Mapping[str, pa.Table], names: Sequence[str]
) -> list[Check]:
    """Check that no video stands twice, that labels have names, and that all videos are there.

    `splits` are the config's columns other than the embeddings, `names` those of its label.
    """
    config = manifest.config
    rows = rows_of(splits)
    checks = [judged("unique", config, twice(rows, LISTED_KEY), "no video twice")]
    if "label" in rows:
        checks.append(judged("labels", config, _unnamed(rows, names), f"of {len(names):,} names"))
    return [*checks, _complete(folder, manifest, rows[LISTED_KEY].drop_duplicates())]


def _unnamed(rows: pd.DataFrame, names: Sequence[str]) -> list[str]:
    labels = rows["label"].to_numpy(np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names))).tolist()
    return [
        f"{rows['split'][at]} row {rows['row'][at]}, {rows[LISTED_KEY][at]}: {labels[at]} has no "
        "name"
        for at in wrong
    ]


def _complete(folder: Path, manifest: Manifest, rows: pd.Series) -> Check:
    """Check that as many videos are there, with a row or listed without, as the list names."""
    problems, absent = without_row(folder, manifest, rows)
    tried = min(manifest.videos.get(name, np.inf) for name in ("count", "limit"))
    known = len(rows) + len(absent)
    if known != tried:
        problems.append(f"{known:,} videos have a row or are listed without, and {tried:,} should")
    found = f"{len(rows):,} rows, {len(absent):,} listed without, of {tried:,} videos of the list"
    return judged("complete", manifest.config, problems, found)
