"""A config that is replaced while `avmit.load` opens it: old rows or new ones, never both."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from support.releases import assert_same_rows, expected_rows, sharded_options, shards

import avmit
from conversion.convert.build import convert
from conversion.package.writer import Encoding
from conversion.release.generate import generate_release

CONFIG = "vggish_vgg16"


@pytest.fixture(scope="module")
def new_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of as many videos as `sharded_release`, and other ones."""
    folder = tmp_path_factory.mktemp("new-release") / "sources"
    generate_release(folder, videos_per_label=3, test_per_label=1, sets=[CONFIG], seed=1)
    return folder


@pytest.fixture(scope="module")
def new_package(new_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("new-package") / "avmit"
    convert(new_release, out, sharded_options())
    return out


def replace_config(package: Path, new: Path) -> None:
    """Put a config in the place of another, as `avmit convert` does, and remove the old one."""
    shutil.copytree(new / CONFIG, package / "new")
    (package / CONFIG).rename(package / "old")
    (package / "new").rename(package / CONFIG)
    shutil.rmtree(package / "old")


Before = Callable[[int, Callable[[], None]], None]


@pytest.fixture
def before_shard(monkeypatch: pytest.MonkeyPatch) -> Before:
    """Do something before the n-th time that a shard is opened to be mapped."""

    def plan(number: int, act: Callable[[], None]) -> None:
        opened = 0
        mapped = datasets.table.MemoryMappedTable.from_file

        def from_file(*arguments: Any, **options: Any) -> Any:
            nonlocal opened
            opened += 1
            if opened == number:
                act()
            return mapped(*arguments, **options)

        monkeypatch.setattr(datasets.table.MemoryMappedTable, "from_file", from_file)

    return plan


@pytest.mark.parametrize("number", [1, 2, 3])
def test_all_rows_are_of_the_new_config(
    copied: Path,
    new_package: Path,
    new_release: Path,
    cache: Path,
    before_shard: Before,
    number: int,
) -> None:
    before_shard(number, lambda: replace_config(copied, new_package))
    loaded = avmit.load(CONFIG, data_dir=copied)
    for split in ("train", "test"):
        assert_same_rows(loaded[split], expected_rows(new_release, CONFIG, split))


def test_fewer_shards_than_were_listed(
    copied: Path, sharded_release: Path, tmp_path: Path, cache: Path, before_shard: Before
) -> None:
    one = tmp_path / "one"
    convert(sharded_release, one)
    assert len(shards(one, CONFIG, "train")) == 1
    before_shard(2, lambda: replace_config(copied, one))
    loaded = avmit.load(CONFIG, "train", data_dir=copied)
    assert_same_rows(loaded, expected_rows(sharded_release, CONFIG, "train"))


def test_replaced_all_the_time(
    copied: Path, new_package: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = datasets.table.MemoryMappedTable.from_file

    def from_file(*arguments: Any, **options: Any) -> Any:
        replace_config(copied, new_package)
        return mapped(*arguments, **options)

    monkeypatch.setattr(datasets.table.MemoryMappedTable, "from_file", from_file)
    with pytest.raises(avmit.AvmitError) as error:
        avmit.load(CONFIG, data_dir=copied)
    assert str(error.value) == f"{copied} is being replaced: load it again when that is done"


def test_a_shard_that_goes_and_stays_away(copied: Path, cache: Path, before_shard: Before) -> None:
    shard = shards(copied, CONFIG, "train")[1]
    before_shard(2, shard.unlink)
    with pytest.raises(avmit.AvmitError) as error:
        avmit.load(CONFIG, data_dir=copied)
    assert str(error.value) == (
        f"{copied / CONFIG}: shard 1 of 2 of split 'train' is missing or stands twice; "
        "bring the whole folder again"
    )


def test_what_goes_through_the_cache(
    sharded_release: Path,
    new_release: Path,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = sharded_options(encoding=Encoding("arrow", "zstd"))
    package, new = tmp_path / "avmit", tmp_path / "new"
    convert(sharded_release, package, options)
    convert(new_release, new, options)
    prepare = avmit.AVMIT.download_and_prepare
    to_come = [new]

    def replaced_first(*arguments: Any, **settings: Any) -> None:
        if to_come:
            replace_config(package, to_come.pop())
        prepare(*arguments, **settings)

    monkeypatch.setattr(avmit.AVMIT, "download_and_prepare", replaced_first)
    loaded = avmit.load(CONFIG, "train", data_dir=package)
    assert_same_rows(loaded, expected_rows(new_release, CONFIG, "train"))


def test_a_stream_ends_where_its_shards_were_replaced(
    copied: Path, new_package: Path, cache: Path
) -> None:
    rows = iter(avmit.load(CONFIG, "train", data_dir=copied, streaming=True))
    next(rows)
    replace_config(copied, new_package)
    with pytest.raises(avmit.AvmitError) as error:
        list(rows)
    second = shards(copied, CONFIG, "train")[1]
    assert str(error.value) == f"{second} was replaced since it was listed: load it again"


def test_a_config_that_is_away_for_a_moment(
    copied: Path, sharded_release: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is between two renames, where no file system exchanges folders in one step."""
    (copied / CONFIG).rename(copied / "away")

    def meanwhile(seconds: float) -> None:
        assert seconds < 0.1
        (copied / "away").rename(copied / CONFIG)

    monkeypatch.setattr("time.sleep", meanwhile)
    loaded = avmit.load(CONFIG, "train", data_dir=copied)
    assert_same_rows(loaded, expected_rows(sharded_release, CONFIG, "train"))
