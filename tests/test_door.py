"""How the command `avmit` is come by: installed, as a module, in a shell that completes it; and
what it says where another package hides its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Run

import avmit
import avmit_cli

CHECKOUT = Path(avmit.__file__).parent


def call(
    *arguments: str, cwd: Path, path: list[Path], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in `cwd`, with `path` before all that it finds by itself."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), **variables}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_version(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"avmit {avmit.__version__}\n", "")


@pytest.mark.parametrize("module", ["avmit", "avmit_cli"])
def test_the_command_as_a_module(tmp_path: Path, package: Path, module: str) -> None:
    info = call("-m", module, "info", str(package), cwd=tmp_path, path=[CHECKOUT])
    assert (info.returncode, info.stderr) == (0, "")
    assert "48 of 57,177 rated videos" in info.stdout
    none = call("-m", module, "info", "nowhere", cwd=tmp_path, path=[CHECKOUT])
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr.startswith("avmit: no folder nowhere: ")
    usage = call("-m", module, "--help", cwd=tmp_path, path=[CHECKOUT])
    assert "Usage: avmit [OPTIONS] COMMAND" in usage.stdout


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("avmit ver", ["verify"]),
        ("avmit convert --max", ["--max-shard-size"]),
        ("avmit convert --compression z", ["zstd"]),
        ("avmit encoders ch", ["check"]),
    ],
)
def test_what_a_shell_completes(tmp_path: Path, typed: str, expected: list[str]) -> None:
    variables = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    variables["_AVMIT_COMPLETE"] = "complete_bash"
    ran = call("-m", "avmit_cli", cwd=tmp_path, path=[CHECKOUT], **variables)
    assert (ran.stdout.split(), ran.stderr) == (expected, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_lets_a_shell_complete(tmp_path: Path, shell: str) -> None:
    ran = call(
        *("-m", "avmit", "--show-completion", shell),
        cwd=tmp_path,
        path=[CHECKOUT],
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )
    assert ran.returncode == 0
    assert "_AVMIT_COMPLETE" in ran.stdout


def hiding(folder: Path, name: str) -> Path:
    """Put a package in a folder that is to be found first."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "__init__.py").write_text("raise SystemExit('this ran')\n")
    return folder


@pytest.mark.parametrize("name", avmit_cli.PACKAGES)
@pytest.mark.parametrize("arguments", [["--help"], ["info", "avmit"]])
def test_another_package_found_first(tmp_path: Path, name: str, arguments: list[str]) -> None:
    other = hiding(tmp_path / "other", name)
    ran = call("-m", "avmit_cli", *arguments, cwd=tmp_path, path=[other, CHECKOUT])
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"avmit: another package called '{name}', in {other / name}, hides avmit's: "
        "uninstall it and install avmit again, or use a fresh environment\n"
    )


@pytest.mark.parametrize("name", avmit_cli.PACKAGES)
def test_another_package_in_the_folder_that_python_runs_in(tmp_path: Path, name: str) -> None:
    ran = call("-m", "avmit", cwd=hiding(tmp_path, name), path=[CHECKOUT])
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"avmit: another package called '{name}', in {tmp_path / name},")


@pytest.mark.parametrize("name", avmit_cli.PACKAGES)
def test_another_package_installed_into_ours(tmp_path: Path, name: str) -> None:
    installed = tmp_path / "installed"
    for top in avmit_cli.PACKAGES:
        shutil.copytree(CHECKOUT / top, installed / top)
    for module in ("avmit.py", "avmit_cli.py"):
        shutil.copy(CHECKOUT / module, installed)
    version = ("-m", "avmit_cli", "--version")
    assert call(*version, cwd=tmp_path, path=[installed]).stdout == f"avmit {avmit.__version__}\n"
    init = hiding(installed, name) / name / "__init__.py"
    ran = call(*version, cwd=tmp_path, path=[installed])
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"avmit: another package called '{name}', in {init.parent}, hides")
    init.unlink()
    # Without the packages of this environment, where the checkout may be installed as well.
    ran = call("-S", *version, cwd=tmp_path, path=[installed])
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"avmit: its package '{name}', in {init.parent}, is not whole: install avmit again\n"
    )


def test_names_whose_package_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").touch()
    code = (
        "import avmit\ntry:\n    avmit.batches\nexcept avmit.AvmitError as error:\n    print(error)"
    )
    ran = call("-c", code, cwd=tmp_path, path=[tmp_path, CHECKOUT])
    assert (ran.stdout, ran.stderr) == (
        "avmit.batches is in avmit's package 'experiments', which is not there, or hidden by "
        "another of that name: install avmit again, in a fresh environment\n",
        "",
    )
