"""Plain `datasets`, of any version, loads packages of lists, and so does avmit."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from support.lists import make_package, write_list

import avmit
from conversion.package.writer import Encoding

COLUMNS = {
    "filename": ["a.mp4", "b/c.mp4", "d é.mp4", "e.mp4"],
    "label": ["x | y", "'1'", "~", "yes"],
    "a | b": ["0.5", "1", "2", "3"],
    "`{{ n }}`": ["5", "-1", "0", "3"],
    "yes": ["", "null", "1: 2", "#"],
    "MIT": ["01", "2", "3", "4"],
    "split": ["null", "1", "_x", "train"],
}
LOAD = """
import pickle, sys
from datasets import load_dataset

read = {}
for streaming in (False, True):
    loaded = load_dataset("pkg", "mine", streaming=streaming)
    read[streaming] = {split: (rows.features, list(rows)) for split, rows in loaded.items()}
assert not {name for name in sys.modules if name.partition(".")[0] in ("avmit", "conversion")}
with open(sys.argv[1], "wb") as file:
    pickle.dump(read, file)
"""


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("parquet", "zstd")])
def test_odd_columns_labels_and_splits_are_loaded(
    tmp_path: Path, cache: Path, encoding: Encoding
) -> None:
    make_package(tmp_path / "pkg", write_list(tmp_path / "list.csv", COLUMNS), encoding=encoding)
    environment = {**os.environ, "HF_DATASETS_CACHE": str(cache)}
    command = [sys.executable, "-c", LOAD, str(tmp_path / "read")]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    read = pickle.loads((tmp_path / "read").read_bytes())
    here = avmit.load("mine", data_dir=tmp_path / "pkg")
    assert list(here) == ["train", "1", "_x", "null"]
    for streaming in (False, True):
        assert sorted(read[streaming]) == sorted(here)
        for split, (features, rows) in read[streaming].items():
            assert list(features.items()) == list(here[split].features.items())
            assert rows == list(here[split])
            ((at, row),) = [(at, row) for row in rows for at in range(4) if same(row, at)]
            assert COLUMNS["split"][at] == split
            assert features["label"].int2str(row["label"]) == COLUMNS["label"][at]
            assert (row["a | b"], row["`{{ n }}`"]) == (
                float(COLUMNS["a | b"][at]),
                int(COLUMNS["`{{ n }}`"][at]),
            )
            assert (row["yes"], row["MIT"]) == (COLUMNS["yes"][at], COLUMNS["MIT"][at])
    one = avmit.load("mine", "null+_x", data_dir=tmp_path / "pkg", columns=["filename", "label"])
    assert one["filename"] == ["a.mp4", "d é.mp4"]
    assert one.info.description == ""
    streamed = avmit.load("mine", "_x", data_dir=tmp_path / "pkg", streaming=True)
    assert (list(streamed), streamed.info.description) == (list(here["_x"]), "")


def same(row: dict[str, object], at: int) -> bool:
    return row["filename"] == COLUMNS["filename"][at]
