"""Where weights are kept that tasks on other machines find."""

from pathlib import Path

import pytest

from avmit import AvmitError
from extraction.encoders.caches import FOLDER, check_seen, for_tasks, kept_in
from extraction.encoders.tensorflow.sound_network import fetch_from_kaggle


def test_everything_is_kept_in_a_folder(tmp_path: Path) -> None:
    variables = kept_in(tmp_path, {"HOME": "/home/x"}, all_of_it=False)
    assert variables == {
        "HF_HUB_CACHE": str(tmp_path / "huggingface"),
        "KAGGLEHUB_CACHE": str(tmp_path / "kaggle"),
        "KERAS_HOME": str(tmp_path / "keras"),
        "TORCH_HOME": str(tmp_path / "torch"),
        "AVMIT_CACHE": str(tmp_path / "avmit"),
    }
    tasks = for_tasks(tmp_path, variables)
    assert tasks == {**variables, FOLDER: str(tmp_path), "HF_HUB_OFFLINE": "1"}


def test_caches_that_the_environment_names_stay(tmp_path: Path) -> None:
    environment = {"HF_HOME": "/scratch/hf", "KERAS_HOME": "/scratch/keras", "TORCH_HOME": ""}
    kept = kept_in(tmp_path, environment, all_of_it=False)
    assert kept["HF_HOME"] == "/scratch/hf"
    assert kept["KERAS_HOME"] == "/scratch/keras"
    assert kept["TORCH_HOME"] == str(tmp_path / "torch")
    assert "HF_HUB_CACHE" not in kept
    asked = kept_in(tmp_path, environment, all_of_it=True)
    assert asked["HF_HUB_CACHE"] == str(tmp_path / "huggingface")
    assert asked["KERAS_HOME"] == str(tmp_path / "keras")


def test_a_folder_that_a_node_does_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    check_seen()
    monkeypatch.setenv(FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(AvmitError, match=r"does not see .*nowhere, into which the weights were"):
        check_seen()
    monkeypatch.delenv(FOLDER)
    check_seen()


def test_tasks_take_what_kagglehub_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kagglehub")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    handle = "google/yamnet/tensorFlow2/yamnet"
    model = tmp_path / "models" / handle
    for version in ("2", "9", "10", "11"):
        (model / version).mkdir(parents=True)
    for version in ("2", "9", "10", "12"):  # 11 was cut off, and 12 removed
        (model / f"{version}.complete").touch()
    assert fetch_from_kaggle(handle, "yamnet", "") == model / "10"
