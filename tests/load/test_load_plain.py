"""Plain `datasets` loads the folder, with none of our code."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from support.releases import CONFIGS, DIMS, SPLITS, assert_same_rows, csv_rows, expected_rows

LOAD_EVERYTHING = """
import pickle, sys
from datasets import load_dataset

read = {}
for config in sys.argv[2:]:
    for streaming in (False, True):
        loaded = load_dataset("avmit", config, streaming=streaming)
        read[config, streaming] = {
            split: (rows.features, list(rows)) for split, rows in loaded.items()
        }
default = load_dataset("avmit")
read["default"] = {split: (rows.features, list(rows)) for split, rows in default.items()}
ours = {name for name in sys.modules if name.partition(".")[0] in ("avmit", "conversion")}
assert not ours, ours
with open(sys.argv[1], "wb") as file:
    pickle.dump(read, file)
"""


@pytest.fixture(scope="module")
def read(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Features and rows by (config, streaming) and split, as another process read them."""
    folder = tmp_path_factory.mktemp("plain")
    environment = {**os.environ, "HF_DATASETS_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", LOAD_EVERYTHING, str(folder / "read"), *CONFIGS]
    subprocess.run(command, cwd=package.parent, env=environment, check=True)
    return pickle.loads((folder / "read").read_bytes())


def text(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, datasets.Value("string"))


def whole(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, datasets.Value("int64"))


def features(release: Path, config: str) -> Any:
    video = text("AVMIT_label", "MIT_label", "video_location")
    match config:
        case "raw_ratings":
            columns = text("filename") | video | whole("rating")
        case "ratings":
            columns = text("filename") | whole("r1", "r2", "r3") | video
            columns |= text("tfrecord_filename")
        case "test_set":
            columns = text("filename") | video | text("new_filename", "tfrecord_filename")
        case _:
            ratings = csv_rows(release / "video_ratings.csv")
            labels = sorted({row["AVMIT_label"] for row in ratings})
            columns = text("filename") | {"label": datasets.ClassLabel(names=labels)}
            columns |= text("MIT_label") | whole("r1", "r2", "r3")
            columns |= text("video_location", "tfrecord_filename")
            for name, dim in zip(("audio", "visual"), DIMS[config], strict=True):
                row = datasets.Sequence(datasets.Value("float32"), length=dim)
                columns[name] = datasets.Sequence(row)
    return datasets.Features(columns)


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
@pytest.mark.parametrize("config", CONFIGS)
def test_every_config(read: Any, release: Path, config: str, streaming: bool) -> None:
    splits = read[config, streaming]
    assert list(splits) == SPLITS[config]
    for split, (found, rows) in splits.items():
        assert found == features(release, config)
        assert list(found) == list(features(release, config))
        assert_same_rows(rows, expected_rows(release, config, split))


def test_the_ratings_are_the_default(read: Any, release: Path) -> None:
    assert list(read["default"]) == ["train"]
    found, rows = read["default"]["train"]
    assert found == features(release, "ratings")
    assert_same_rows(rows, expected_rows(release, "ratings", "train"))


@pytest.mark.parametrize("streaming", [False, True], ids=["mapped", "streamed"])
@pytest.mark.parametrize("below", [True, False], ids=["folder", "data_dir"])
def test_what_stands_beside_the_shards_is_no_data(
    package: Path, release: Path, tmp_path: Path, cache: Path, below: bool, streaming: bool
) -> None:
    """Without a card, `datasets` goes by the files' names."""
    config = "vggish_vgg16"
    copied = Path(shutil.copytree(package, tmp_path / "avmit"))
    (copied / "README.md").unlink()
    beside = {path.suffix for path in (copied / config).iterdir()}
    assert beside == {".arrow", ".json"}
    folder, data_dir = (copied / config, None) if below else (copied, config)
    loaded = datasets.load_dataset(str(folder), data_dir=data_dir, streaming=streaming)
    assert set(loaded) == set(SPLITS[config])
    for split in SPLITS[config]:
        assert_same_rows(list(loaded[split]), expected_rows(release, config, split))
