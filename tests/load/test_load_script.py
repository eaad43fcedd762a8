"""`avmit.py` as a loading script: for `datasets` before 4.0, which later ones refuse."""

from pathlib import Path

import datasets
import pytest
from support.releases import CONFIGS, SPLITS, assert_same_rows, expected_rows, write_set

import avmit
from conversion.convert.build import Options, convert

SCRIPTS = int(datasets.__version__.partition(".")[0]) < 4
SCRIPT = avmit.__file__
runs = pytest.mark.skipif(not SCRIPTS, reason="datasets 4 and later run no loading scripts")
refuses = pytest.mark.skipif(SCRIPTS, reason="datasets before 4 run loading scripts")


@runs
@pytest.mark.parametrize("streaming", [False, True], ids=["cached", "streamed"])
@pytest.mark.parametrize("config", CONFIGS)
def test_every_config(
    release: Path, package: Path, cache: Path, config: str, streaming: bool
) -> None:
    loaded = datasets.load_dataset(
        SCRIPT, config, data_dir=str(package), streaming=streaming, trust_remote_code=True
    )
    assert list(loaded) == SPLITS[config]
    for split in loaded:
        assert_same_rows(loaded[split], expected_rows(release, config, split))


@runs
def test_the_default_config(release: Path, package: Path, cache: Path) -> None:
    loaded = datasets.load_dataset(SCRIPT, data_dir=str(package), trust_remote_code=True)
    assert_same_rows(loaded["train"], expected_rows(release, "ratings", "train"))


@runs
@pytest.mark.parametrize("streaming", [False, True], ids=["cached", "streamed"])
def test_a_config_that_is_not_built_in(
    small_release: Path, tmp_path: Path, cache: Path, streaming: bool
) -> None:
    path = write_set(small_release, "clip", (8, 16))
    convert(small_release, tmp_path / "avmit", Options(tfrecords={"clip-b32": path}, workers=1))
    loaded = datasets.load_dataset(
        SCRIPT,
        "clip-b32",
        data_dir=str(tmp_path / "avmit"),
        streaming=streaming,
        trust_remote_code=True,
    )
    for split in ("train", "test"):
        assert_same_rows(loaded[split], expected_rows(small_release, "clip-b32", split, "clip"))


@runs
def test_columns(release: Path, package: Path, cache: Path) -> None:
    columns = ["label", "audio"]
    loaded = datasets.load_dataset(
        SCRIPT,
        "vggish_vgg16",
        split="test",
        data_dir=str(package),
        columns=columns,
        trust_remote_code=True,
    )
    wanted = expected_rows(release, "vggish_vgg16", "test")
    assert_same_rows(loaded, [{name: row[name] for name in columns} for row in wanted])


@refuses
def test_scripts_are_refused(package: Path, cache: Path) -> None:
    with pytest.raises(RuntimeError, match="Dataset scripts are no longer supported"):
        datasets.load_dataset(SCRIPT, "vggish_vgg16", data_dir=str(package))
