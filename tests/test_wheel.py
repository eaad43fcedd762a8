"""What is published, and how it is found once it is installed: wheel, sdist, editable, checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import avmit

CHECKOUT = Path(__file__).parents[1]
CARD = "dataset_card.md"
CARDS = (CARD, "list_card.md")
NAME = f"avmit-{avmit.__version__}"
WHERE = "from conversion.card.render import TEMPLATE; print(TEMPLATE)"


def call(*command: object, cwd: Path) -> str:
    """Run a program with the checkout not on its path, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of the checkout, and the wheel of that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, CHECKOUT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has the wheel."""
    return install(wheel, tmp_path_factory.mktemp("installed"))


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new environment, and return its `bin` folder.

    All else is lent from the environment of this process, but for what its `.pth` files add, such
    as an editable avmit.
    """
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    paths = sysconfig.get_paths("venv", {"base": str(folder), "platbase": str(folder)})
    python = Path(paths["scripts"], "python")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    call(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    lent = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    Path(paths["purelib"], "lent.pth").write_text("\n".join(lent))
    return python.parent


def test_the_sdist_has_the_cards_at_the_top(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as sdist:
        for card in CARDS:
            file = sdist.extractfile(f"{NAME}/{card}")
            assert file is not None and file.read() == (CHECKOUT / card).read_bytes()


def test_the_wheel_has_the_cards_beside_what_fills_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        for card in CARDS:
            assert files.read(f"conversion/card/{card}") == (CHECKOUT / card).read_bytes()


def test_what_the_wheel_puts_among_other_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
    assert {name.split("/")[0] for name in names} == {
        *("avmit.py", "avmit_cli.py", "conversion", "experiments", "extraction"),
        f"{NAME}.dist-info",
    }
    typed = [name for name in names if name.endswith("py.typed")]
    assert typed == [f"{name}/py.typed" for name in ("conversion", "experiments", "extraction")]


def test_the_wheel_works_elsewhere(installed: Path, release: Path, tmp_path: Path) -> None:
    command = installed / "avmit"
    call(command, "convert", release, "--out", "avmit", "--workers", "1", cwd=tmp_path)
    card = tmp_path / "avmit" / "README.md"
    written = card.read_text(encoding="utf-8")
    assert "# Audiovisual Moments in Time (AVMIT)" in written
    card.unlink()
    call(command, "card", "avmit", cwd=tmp_path)
    assert card.read_text(encoding="utf-8") == written
    assert "48 of 57,177 rated videos" in call(command, "info", "avmit", cwd=tmp_path)
    found = Path(call(installed / "python", "-c", WHERE, cwd=tmp_path).strip())
    assert found.is_relative_to(installed.parent)


def test_an_editable_install_has_the_card_of_its_checkout(tmp_path: Path) -> None:
    # A copy, for this checkout may be found in other ways.
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("avmit.py", "avmit_cli.py", *CARDS, "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, checkout)
    for name in ("conversion", "extraction"):
        shutil.copytree(CHECKOUT / name, checkout / name)
    build = "import sys, hatchling.build; print(hatchling.build.build_editable(sys.argv[1]))"
    wheel = tmp_path / call(sys.executable, "-c", build, tmp_path, cwd=checkout).strip()
    (tmp_path / "environment").mkdir()
    installed = install(wheel, tmp_path / "environment")
    found = call(installed / "python", "-c", WHERE, cwd=tmp_path)
    assert found == f"{checkout / CARD}\n"


def test_a_checkout_has_its_own_card(tmp_path: Path) -> None:
    program = f"import sys; sys.path.insert(0, sys.argv[1]); {WHERE}"
    assert call(sys.executable, "-c", program, CHECKOUT, cwd=tmp_path) == f"{CHECKOUT / CARD}\n"
