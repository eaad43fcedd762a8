"""`avmit.AVMIT`, used as any builder of `datasets` is."""

from pathlib import Path

import datasets
import pytest
from support.releases import CONFIGS, SPLITS, assert_same_rows, expected_rows

import avmit


@pytest.mark.parametrize("config", CONFIGS)
def test_download_and_prepare(release: Path, package: Path, cache: Path, config: str) -> None:
    builder = avmit.AVMIT(config_name=config, data_dir=str(package))
    builder.download_and_prepare()
    loaded = builder.as_dataset()
    assert isinstance(loaded, datasets.DatasetDict)
    assert list(loaded) == SPLITS[config]
    for split in loaded:
        assert_same_rows(loaded[split], expected_rows(release, config, split))
    (one,) = [builder.as_dataset(split=SPLITS[config][0])]
    assert one.num_rows == len(expected_rows(release, config, SPLITS[config][0]))


@pytest.mark.parametrize("config", CONFIGS)
def test_as_streaming_dataset(release: Path, package: Path, cache: Path, config: str) -> None:
    streamed = avmit.AVMIT(config_name=config, data_dir=str(package)).as_streaming_dataset()
    assert isinstance(streamed, datasets.IterableDatasetDict)
    assert list(streamed) == SPLITS[config]
    for split in streamed:
        assert_same_rows(streamed[split], expected_rows(release, config, split))
    assert not list(cache.rglob("*.arrow"))


def test_the_default_config_is_ratings(package: Path, cache: Path) -> None:
    assert avmit.AVMIT(data_dir=str(package)).config.name == "ratings"


def test_info(package: Path, cache: Path) -> None:
    info = avmit.AVMIT(config_name="yamnet_effnet", data_dir=str(package)).info
    assert "2308.09685" in info.citation
    assert info.homepage == "https://github.com/mjoannou/audiovisual-moments-in-time"
    assert info.features["label"].names[:2] == ["barking", "diving"]


def test_columns(release: Path, package: Path, cache: Path) -> None:
    columns = ["label", "audio"]
    builder = avmit.AVMIT(config_name="vggish_vgg16", data_dir=str(package), columns=columns)
    builder.download_and_prepare()
    wanted = [
        {name: row[name] for name in columns}
        for row in expected_rows(release, "vggish_vgg16", "test")
    ]
    assert_same_rows(builder.as_dataset(split="test"), wanted)


def test_an_unknown_config(package: Path, cache: Path) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.AVMIT(config_name="clip", data_dir=str(package))
    assert str(error.value) == (
        f"no config 'clip' in {package}; there are: "
        "ratings, raw_ratings, test_set, vggish_vgg16, yamnet_effnet"
    )


def test_a_config_that_is_not_built_in_leaves_the_others_built_in(
    package: Path, cache: Path, tmp_path: Path
) -> None:
    other = tmp_path / "avmit"
    other.mkdir()
    (other / "clip").symlink_to(package / "vggish_vgg16")
    assert avmit.AVMIT(config_name="clip", data_dir=str(other)).config.name == "clip"
    assert avmit.AVMIT(config_name="ratings", data_dir=str(package)).config.name == "ratings"
