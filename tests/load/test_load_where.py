"""Where `avmit.load` looks for a package, and what it says of a folder that is none."""

import os
from pathlib import Path
from typing import Any

import pytest

import avmit
from conversion.convert.build import Options, convert


def error(*arguments: Any, **options: Any) -> str:
    with pytest.raises(avmit.AvmitError) as raised:
        avmit.load(*arguments, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_avmit_home_is_the_default_folder(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVMIT_HOME", str(package))
    assert len(avmit.load("ratings", "train")) == 48


def test_then_avmit_in_the_current_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(package.parent)
    assert len(avmit.load("ratings", "train")) == 48
    monkeypatch.setenv("AVMIT_HOME", "")
    assert len(avmit.load("ratings", "train")) == 48


def test_data_dir_goes_before_avmit_home(
    package: Path, small_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(small_release, tmp_path / "small", Options(workers=1))
    monkeypatch.setenv("AVMIT_HOME", str(package))
    assert len(avmit.load("ratings", "train", data_dir=tmp_path / "small")) == 32


HOW_TO_GET_ONE = (
    "make one with `avmit convert SOURCE --out avmit` (or try `avmit demo`), point AVMIT_HOME at "
    "one, or name its folder or a Hub repository such as 'user/avmit' (in Python, with data_dir=)"
)


def test_no_package_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert error() == f"no AVMIT package in ./avmit: {HOW_TO_GET_ONE}"


def test_avmit_home_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = str(tmp_path / "gone")
    monkeypatch.setenv("AVMIT_HOME", gone)
    assert error() == f"no AVMIT package at {gone}: {HOW_TO_GET_ONE}"


def test_data_dir_leads_nowhere() -> None:
    assert error(data_dir="nowhere") == f"no AVMIT package at nowhere: {HOW_TO_GET_ONE}"


def test_a_repository_without_a_network_is_one_line() -> None:
    assert "nobody/nothing" in error(data_dir="nobody/nothing")


class Pointer:
    """An os.PathLike that is no Path and prints as nothing useful."""

    def __init__(self, path: Path):
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.mark.parametrize("kind", [str, Path, Pointer, lambda path: f"{path}/", os.fsencode])
def test_a_folder_may_be_given_as_any_path(package: Path, kind: Any) -> None:
    assert len(avmit.load("ratings", "train", data_dir=kind(package))) == 48
    assert avmit.AVMIT(config_name="ratings", data_dir=kind(package)).config.name == "ratings"


def test_a_home_folder_is_found(
    package: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(package.parent))
    assert len(avmit.load("ratings", "train", data_dir="~/avmit")) == 48
    assert len(avmit.load("ratings", "train", data_dir=Path("~/avmit"))) == 48
    assert avmit.AVMIT(data_dir="~/avmit").config.name == "ratings"
    assert error(data_dir="~/x") == f"no AVMIT package at {package.parent}/x: {HOW_TO_GET_ONE}"
    monkeypatch.setenv("AVMIT_HOME", "~/avmit/")
    assert len(avmit.load("ratings", "train")) == 48
    assert avmit.AVMIT().config.name == "ratings"


def test_the_home_folder_of_a_user(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pwd = pytest.importorskip("pwd")
    user = pwd.getpwuid(os.getuid())
    there = os.path.relpath(package, user.pw_dir)
    assert len(avmit.load("ratings", "train", data_dir=f"~{user.pw_name}/{there}")) == 48
    nobody = "~no-such-user/avmit"
    assert error(data_dir=nobody) == f"no AVMIT package at {nobody}: {HOW_TO_GET_ONE}"


def test_a_package_one_folder_below(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "avmit").symlink_to(package)
    for data_dir in ("demo", "demo/", Path("demo"), "./demo"):
        told = error(data_dir=data_dir)
        assert told == "no configs in demo; there is a package in demo/avmit: pass that"


def test_the_folder_of_a_config(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(package.parent)
    for config in ("ratings", "yamnet_effnet"):
        assert error(config, data_dir="avmit/yamnet_effnet") == (
            "avmit/yamnet_effnet is a config of the package avmit: "
            'load("yamnet_effnet", data_dir="avmit") reads it'
        )


def test_a_folder_that_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_package = f"which is no AVMIT package: {HOW_TO_GET_ONE}"
    assert error(data_dir=tmp_path) == f"no configs in {tmp_path}, {no_package}"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo" / "notes").mkdir(parents=True)
    assert error(data_dir="demo") == f"no configs in demo, {no_package}"


@pytest.mark.parametrize("data_dir", ["./avmit", "../avmit", "./user/avmit", ".a/b"])
def test_a_path_is_no_repository(
    data_dir: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = error(data_dir=data_dir)
    assert told == f"no AVMIT package at {Path(data_dir)}: {HOW_TO_GET_ONE}"


def test_a_repository_may_end_in_a_slash() -> None:
    assert error(data_dir="nobody/nothing/").startswith("'nobody/nothing' is not a folder here ")
