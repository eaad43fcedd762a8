"""What holds of the folders beside the layers in pyproject.toml, which `make lint` looks at."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("conversion", "extraction", "experiments")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FOLDERS = sorted({path.parent for path in MODULES})
SHOWN_BY = {"command.py", "cli.py", "terminal.py", "lazy.py"}
"""Where the command line is: all else can be used, and tested, without it."""


def imported(path: Path, *, inside: bool) -> Iterator[str]:
    """Yield what a module imports, in dotted names; `inside` of functions and conditions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if inside else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tops(names: Iterator[str]) -> set[str]:
    """Return the top-level modules of dotted names, but for the standard library's."""
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_ground_floor_stands_alone() -> None:
    needed = {"datasets", "fsspec", "pyarrow"}
    assert tops(imported(ROOT / "avmit.py", inside=False)) == needed
    # Beside what type checkers are told of the names that come from elsewhere.
    assert tops(imported(ROOT / "avmit.py", inside=True)) == {*needed, "experiments"}


def test_the_door_waits_for_nothing() -> None:
    door = ROOT / "avmit_cli.py"
    assert tops(imported(door, inside=False)) == set()
    assert tops(imported(door, inside=True)) == {"conversion", "experiments", "extraction"}


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_nobody_comes_back_through_the_door(path: Path) -> None:
    assert "avmit_cli" not in tops(imported(path, inside=True))


@pytest.mark.parametrize("path", [p for p in MODULES if p.name not in SHOWN_BY], ids=shown)
def test_the_command_line_is_in_its_own_modules(path: Path) -> None:
    names = set(imported(path, inside=True))
    assert not [name for name in names if name.split(".")[0] == "typer"]
    assert not [name for name in names if name.startswith("rich.progress")]


@pytest.mark.parametrize("folder", FOLDERS, ids=shown)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 12
    assert (folder / "__init__.py").is_file()
