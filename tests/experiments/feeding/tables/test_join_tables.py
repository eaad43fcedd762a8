"""Tables that `avmit.join` takes beside configs: those of pandas and Arrow, and files."""

import gzip
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import avmit


@pytest.fixture(scope="module")
def clips(package: Path) -> Any:
    return avmit.load("vggish_vgg16", "test", data_dir=package)


@pytest.fixture
def study(clips: Any) -> pd.DataFrame:
    """What a study would have of five clips, one of which is not of the test set."""
    names = [*clips["filename"][3::-1], "elsewhere/yt-x_1.mp4"]
    return pd.DataFrame(
        {"MiT_filename": names, "accuracy": [0.5, 0.25, None, 1, 0], "n": range(5), "note": "ä"}
    )


def check(clips: Any, right: Any, study: pd.DataFrame) -> None:
    joined = avmit.join(clips, right, ("filename", "MiT_filename"))
    assert joined.column_names == [*clips.column_names, "accuracy", "n", "note"]
    pd.testing.assert_frame_equal(
        joined.to_pandas(["filename", "accuracy", "n", "note"]),
        study.rename(columns={"MiT_filename": "filename"})[3::-1].reset_index(drop=True),
        check_dtype=False,
    )
    assert joined.report.left.rows == 16
    assert len(joined.report.left.alone) == 12
    assert joined.report.right.alone == ("elsewhere/yt-x_1.mp4",)
    (batch,) = avmit.batches(joined, columns=("n", "label"))
    assert batch["n"].tolist() == [3, 2, 1, 0]
    (plain,) = avmit.batches(clips.select(range(4)))
    np.testing.assert_array_equal(batch["audio"], plain["audio"])


def test_a_frame_of_pandas(clips: Any, study: pd.DataFrame) -> None:
    check(clips, study, study)
    check(clips, study.astype({"MiT_filename": "category", "note": "category"}), study)
    check(clips, study.astype({"MiT_filename": object}), study)
    check(clips, study.set_index("MiT_filename"), study)
    check(clips, study.iloc[::-1], study)
    check(clips, study.convert_dtypes(dtype_backend="pyarrow"), study)


def test_a_frame_may_have_a_column_named_as_something_of_ours() -> None:
    frame = pd.DataFrame({"filename": ["a"], "parts": [3], "report": ["x"]})
    assert list(avmit.join(frame, frame)) == [
        {"filename": "a", "parts": 3, "report": "x", "parts_right": 3, "report_right": "x"}
    ]


def test_a_table_of_arrow(clips: Any, study: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(study, preserve_index=False)
    check(clips, table, study)
    check(clips, pa.concat_tables([table[:2], table[2:]]), study)
    check(clips, table.to_batches()[0], study)


def test_what_gives_itself_to_arrow(clips: Any, study: pd.DataFrame) -> None:
    class Frame:
        """As polars has it."""

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            table = pa.Table.from_pandas(study, preserve_index=False)
            if hasattr(pa, "string_view"):
                table = table.set_column(3, "note", table["note"].cast(pa.string_view()))
            return table.__arrow_c_stream__(requested_schema)

    check(clips, Frame(), study)


def test_a_csv_file(clips: Any, study: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    study.to_csv(path, index=False)
    check(clips, path, study)
    check(clips, str(path), study)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as Excel writes it
    check(clips, path, study)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    check(clips, path, study)
    packed = tmp_path / "study.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    check(clips, packed, study)


def test_a_tsv_file_with_rows_of_no_clip(clips: Any, study: pd.DataFrame, tmp_path: Path) -> None:
    """As the events of BIDS, where a trial without a stimulus has n/a."""
    path = tmp_path / "sub-01_events.TSV"
    study.to_csv(path, index=False, sep="\t", na_rep="n/a")
    check(clips, path, study)
    with path.open("a") as file:
        file.write("n/a\t0\t7\tx\nn/a\t0\t8\tx\n")
    joined = avmit.join(path, clips, ("MiT_filename", "filename"), how="left")
    assert joined.report.left.alone == ("elsewhere/yt-x_1.mp4", None, None)
    assert joined.to_pandas()["n"].tolist() == [0, 1, 2, 3, 4, 7, 8]
    lengths = next(iter(avmit.batches(joined, columns=("n",))))["audio_lengths"]
    assert (lengths > 0).tolist() == [True] * 4 + [False] * 3


def test_a_parquet_file(clips: Any, study: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "study.parquet"
    study.to_parquet(path)
    check(clips, path, study)


def test_a_parquet_file_of_datasets_keeps_what_its_labels_are_called(
    clips: Any, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    clips.to_parquet(path)
    joined = avmit.join(clips.select_columns(["filename"]), path)
    assert joined.features == clips.features
    (batch,) = avmit.batches(joined, 16)
    (plain,) = avmit.batches(clips, 16)
    np.testing.assert_array_equal(batch["visual"], plain["visual"])


def test_many_trials_of_one_clip(clips: Any) -> None:
    names = clips["filename"][:]
    trials = pd.DataFrame({"clip": [names[4], names[2], names[4]], "rt": [0.5, 0.25, 1]})
    joined = avmit.join(trials, clips, ("clip", "filename"), duplicates="all")
    assert joined.column_names[:3] == ["clip", "rt", "label"]
    (batch,) = avmit.batches(joined, columns=("clip", "rt"))
    assert batch["clip"] == [names[4], names[2], names[4]]
    np.testing.assert_array_equal(batch["audio"][0], batch["audio"][2])
    assert batch["rt"].tolist() == [0.5, 0.25, 1]


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(avmit.AvmitError) as raised:
        avmit.join(*arguments, **options)
    return str(raised.value)


def told_of(clips: Any, path: Path, content: bytes | str) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return refused(clips, path).replace(str(path.parent), "DIR")


def test_files_that_are_no_tables(clips: Any, tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    assert refused(clips, path) == f"{path} cannot be read (No such file or directory)"
    path.mkdir()
    assert refused(clips, path) == f"{path} is a folder: give a file in it"
    path.rmdir()
    said = "DIR/study.csv cannot be read as a table"
    assert told_of(clips, path, "") == f"{said} (Empty CSV file)"
    assert told_of(clips, path, "filename,n\na\n") == (
        f"{said} (CSV parse error: Expected 2 columns, got 1: a)"
    )
    assert told_of(clips, path, b"filename\n\xe4\n") == (
        "DIR/study.csv: column 'filename' is not UTF-8: save the file as UTF-8"
    )
    assert told_of(clips, path, "filename,n,n\na,1,2\n") == (
        "study.csv has two columns 'n': name each once"
    )
    assert told_of(clips, path, "filename;n\na;1\n") == (
        "no column 'filename' in study.csv, which has filename;n: name it with on=\"filename\", or "
        'on=("left column", "right column")'
    )
    broken = told_of(clips, tmp_path / "study.parquet", "PAR1")
    assert broken.startswith("DIR/study.parquet cannot be read as a table (")


@pytest.mark.parametrize("name", ["study.xlsx", "ratings", "study.csv.zip"])
def test_files_of_another_kind(clips: Any, name: str) -> None:
    assert refused(clips, name) == (
        f"{name} is no table that can be read: give a file that ends in .csv, .tsv or .parquet, or "
        f'a config as avmit.load("{name}", "train")'
    )


def test_frames_that_are_no_tables(clips: Any) -> None:
    mixed = pd.DataFrame({"filename": ["a", 1]})
    assert refused(clips, mixed).startswith("the right cannot be read as a table (")
    twice = pd.DataFrame([["a", "b"]], columns=["filename", "filename"])
    assert refused(clips, twice).startswith("the right cannot be read as a table (Duplicate column")
    gaps = pd.DataFrame({"filename": [1.0, None]})
    assert refused(clips, gaps) == (
        "'filename' of the right is double: keys are text or whole numbers"
    )
    twice_arrow = pa.table([["a"], ["b"]], names=["n", "n"])
    assert refused(clips, twice_arrow) == "the right has two columns 'n': name each once"


def test_metadata_that_is_damaged(clips: Any) -> None:
    table = pa.table({"filename": ["a"]}).replace_schema_metadata({"huggingface": "{"})
    assert refused(clips, table).startswith("the right cannot be read as a table (")


def test_what_load_dataset_gives(package: Path, cache: Path, study: pd.DataFrame) -> None:
    loaded = datasets.load_dataset(str(package), "vggish_vgg16", split="test")
    check(loaded, study, study)
    assert len(avmit.select(loaded, classes="test16", relabel=True)) == 16
