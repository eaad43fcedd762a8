"""Files of features, read by the libraries that their users read them with."""

import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import Run
from support.feeding import in_memory, lengths
from support.releases import csv_rows

import avmit
from avmit import AvmitError
from conversion.package.manifest import sha256_of

h5py = pytest.importorskip("h5py")
scipy_io = pytest.importorskip("scipy.io")

ENDINGS = (".h5", ".npz", ".mat", ".csv")
LENGTHS = [(2, 3), (4, 1), (1, 5), (3, 3), (2, 2)]


def read(path: Path) -> dict[str, Any]:
    """Read a file as its users do: arrays by name, text as lists, and the description."""
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            found = {
                n: d.asstr()[:].tolist() if d.dtype == object else d[:] for n, d in file.items()
            }
            described: dict[str, Any] = dict(file.attrs)
            for name, data in file.items():
                if data.attrs:
                    described[name] = {
                        n: v.tolist() if isinstance(v, np.ndarray | np.generic) else v
                        for n, v in data.attrs.items()
                    }
        return {**found, "description": described}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as loaded:
            found = {n: a.tolist() if a.dtype.kind == "U" else a for n, a in loaded.items()}
        return {**found, "description": json.loads(found["description"])}
    if path.suffix == ".mat":
        loaded = scipy_io.loadmat(path)
        found = {n: v for n, v in loaded.items() if not n.startswith("__")}
        for name, values in found.items():
            if values.dtype == object:
                found[name] = [str(cell[0]) if cell.size else "" for cell in values[:, 0]]
            elif values.dtype == np.int64:
                found[name] = values[:, 0]
        return {**found, "description": json.loads(found["description"][0])}
    table = pd.read_csv(path)
    text = {"filename", "label_name"}
    found = {name: table[name].tolist() for name in text}
    for name in table.columns.difference(sorted(text), sort=False):
        column, _, number = name.rpartition("_")
        if number.isdigit():
            found.setdefault(column, []).append(table[name].to_numpy(np.float32))
        else:
            found[name] = table[name].to_numpy()
    matrices = {name: np.stack(found[name], 1) for name in ("audio", "visual")}
    return {**found, **matrices, "description": json.loads(path.with_suffix(".json").read_text())}


def check(found: dict[str, Any], features: Any) -> None:
    assert found["filename"] == features.ids
    assert found["label"].tolist() == features.labels.tolist()
    assert found["label_name"] == features.label_names
    assert found["description"] == features.description
    for name, matrix in features.matrices.items():
        np.testing.assert_array_equal(found[name], matrix, strict=True)
        assert found[f"{name}_lengths"].tolist() == features.lengths[name].tolist()
    if "classes" in found:
        assert found["classes"] == features.classes


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=lengths, pool=st.sampled_from(["mean", "flatten", "none"]))
def test_what_is_written_is_read(tmp_path: Path, ending: str, lengths: Any, pool: Any) -> None:
    lengths = [(1 + audio, 1 + visual) for audio, visual in lengths]
    features = avmit.features(in_memory(lengths), pool=pool)
    path = tmp_path / f"x{ending}"
    if pool == "none" and ending == ".csv":
        with pytest.raises(AvmitError, match="pool='none' has three dimensions and a CSV two"):
            features.save(path)
        return
    features.save(path, overwrite=True)
    if pool == "none" and ending == ".mat" and len(features) == 1 and features.audio.shape[1] == 1:
        return  # shapes are those that MATLAB has, too
    check(read(path), features)


@pytest.mark.parametrize("ending", ENDINGS)
def test_floats_of_every_kind_come_back(package: Path, tmp_path: Path, ending: str) -> None:
    features = avmit.features("vggish_vgg16", data_dir=package)
    assert np.abs(features.audio).max() > 1e37
    features.save(tmp_path / f"x{ending}")
    check(read(tmp_path / f"x{ending}"), features)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_long_csv_is_written_in_order(
    tmp_path: Path, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole rows of text, made side by side, are the bytes that one writer makes."""
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    features = avmit.features(in_memory([(1 + row % 3, 2) for row in range(2_100)]))
    features.save(tmp_path / "x.csv")
    columns: dict[str, Any] = {"filename": features.ids}
    columns |= {"label": features.labels, "label_name": features.label_names}
    columns |= {f"{name}_lengths": lengths for name, lengths in features.lengths.items()}
    for name, matrix in features.matrices.items():
        columns |= {f"{name}_{number}": matrix[:, number] for number in range(matrix.shape[1])}
    pyarrow.csv.write_csv(pa.table(columns), tmp_path / "whole.csv")
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_features_are_the_same_bytes(tmp_path: Path, ending: str) -> None:
    first, second = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
    avmit.features(in_memory(LENGTHS)).save(first)
    time.sleep(1.1 if ending in (".h5", ".mat") else 0)  # their clocks count seconds
    avmit.features(in_memory(LENGTHS)).save(second)
    assert first.read_bytes() == second.read_bytes()
    if ending == ".npz":
        with zipfile.ZipFile(first) as files:
            assert {member.date_time for member in files.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    if ending == ".mat":
        assert first.read_bytes()[:37] == b"MATLAB 5.0 MAT-file, written by avmit"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = avmit.features(in_memory(LENGTHS))
    path = tmp_path / f"x{ending}"
    features.save(path)
    before = path.read_bytes()
    with pytest.raises(AvmitError) as error:
        features.save(path)
    assert str(error.value) == f"{path} is there already: name another, or pass overwrite=True"
    there = sorted(tmp_path.iterdir())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(AvmitError, match=r"cannot be written \(No space left on device\)"):
            avmit.features(in_memory(LENGTHS), order=["video-1.mp4"]).save(path, overwrite=True)
    assert sorted(tmp_path.iterdir()) == there
    assert path.read_bytes() == before


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    features = avmit.features(in_memory(LENGTHS))
    for name, said in {
        "x.xlsx": "x.xlsx does not say in which format: end it in .h5, .npz, .mat, .csv",
        "no/x.h5": f"no/x.h5: no folder {tmp_path}/no: make it first",
    }.items():
        with pytest.raises(AvmitError) as error:
            features.save(tmp_path / name)
        assert str(error.value) == f"{tmp_path}/{said}"
    (tmp_path / "x.json").write_text("mine")
    with pytest.raises(AvmitError, match=r"x.json is there already"):
        features.save(tmp_path / "x.csv")
    assert (tmp_path / "x.json").read_text() == "mine"
    assert not (tmp_path / "x.csv").exists()


def test_names_that_matlab_has_not(tmp_path: Path) -> None:
    features = avmit.features(in_memory(LENGTHS).rename_column("audio", "1st"), audio=False)
    with pytest.raises(AvmitError) as error:
        features.save(tmp_path / "x.mat")
    assert str(error.value) == (
        "'1st' names no variable in MATLAB: rename the column, or name an .h5 file"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_command(release: Path, package: Path, run: Run, tmp_path: Path) -> None:
    ran = run(
        *("features", package, "--config", "yamnet_effnet", "--order", "test_set"),
        *("--out", "x.h5"),
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "x.h5: audio (16, 1024), visual (16, 1280), float32\n"
    features = avmit.features("yamnet_effnet", data_dir=package, order="test_set")
    found = read(tmp_path / "x.h5")
    check(found, features)
    assert found["filename"] == [row["filename"] for row in csv_rows(release / "test_set.csv")]
    described = found["description"]
    assert (described["config"], described["order"], described["pool"]) == (
        *("yamnet_effnet", "test_set", "mean"),
    )
    assert described["manifest_sha256"] == sha256_of(package / "yamnet_effnet" / "manifest.json")
    assert described["audio"]["encoder"] == "yamnet"
    assert described["visual"] == {
        "width": 1280,
        "timesteps": [6, 7],
        "source": "YamNet_EffNetB0",
        "encoder": "efficientnet_b0",
    }
    again = run("features", package, "--config", "yamnet_effnet", "--out", "x.h5")
    assert (again.code, again.err) == (
        *(1, "avmit: x.h5 is there already: name another, or pass --overwrite\n"),
    )


def test_the_command_says_what_is_left_out(package: Path, run: Run, tmp_path: Path) -> None:
    names = avmit.load("vggish_vgg16", "train", data_dir=package)["filename"][:3]
    (tmp_path / "order.txt").write_text("\n".join(["a.mp4", *names, "b.mp4"]))
    command = ("features", package, "--config", "vggish_vgg16", "--order", "order.txt")
    ran = run(*command, "--out", "x.npz")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: 2 of 5 videos of order.txt are not in these rows, the first a.mp4: leave them out "
        "with --missing skip, or mend the list\n"
    )
    ran = run(*command, "--missing", "skip", "--out", "x.npz", "--pool", "none", "--timesteps", "2")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "x.npz: audio (3, 2, 128), visual (3, 2, 512), float32",
        "audio: 2 timesteps of each row; 3 rows have more, left out",
        "visual: 2 timesteps of each row; 3 rows have more, left out",
        "videos left out: a.mp4; b.mp4",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--timesteps", 3, "--out", "x.npz"),
            "--timesteps 3 is of --pool flatten or none: leave it out, or name one of these",
        ),
        (
            ("--pool", "none", "--out", "x.csv"),
            "x.csv: --pool none has three dimensions and a CSV two: name an .h5 file",
        ),
        (
            ("--timesteps", 2**64, "--pool", "none", "--out", "x.npz"),
            "--timesteps 18446744073709551616: it is at most 18446744073709551615, 2**64 - 1",
        ),
    ],
)
def test_the_command_names_options(
    package: Path, run: Run, options: tuple[object, ...], said: str
) -> None:
    ran = run("features", package, "--config", "vggish_vgg16", *options)
    assert (ran.code, ran.out, ran.err) == (1, "", f"avmit: {said}\n")


def test_rows_of_a_loaded_config_know_where_they_are_from(package: Path) -> None:
    loaded = avmit.load("vggish_vgg16", "test", data_dir=package)
    described = avmit.features(loaded).description
    assert described["config"] == "vggish_vgg16"
    assert described["visual"]["encoder"] == "vgg16"
    joined = avmit.join(loaded, avmit.load("yamnet_effnet", "test", data_dir=package))
    described = avmit.features(joined).description
    assert described["config"] == "vggish_vgg16, yamnet_effnet"
    assert described["audio_right"]["encoder"] == "yamnet"
