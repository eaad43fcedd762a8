"""The door of the command `avmit`, which opens only onto packages that are avmit's own.

`conversion`, `extraction` and `experiments` are names of others' packages too. Where one of those
is found first, its `cli` may not be there to say so: what the installed command calls, and where
the commands of the three come together, is therefore in none of them, nor in avmit.py, a loading
script, whose import takes as long as that of `datasets`.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("conversion", "extraction", "experiments")
MARK = "avmit"
"""What each of them says in its `__init__.py`, which another's may have overwritten."""


def main() -> None:
    """Run `avmit`, or say in one line that it cannot run."""
    for name in PACKAGES:
        if problem := _problem(name):
            sys.exit(f"avmit: {problem}")
    from conversion import cli as conversion
    from experiments import cli as experiments
    from extraction import cli as extraction

    conversion.run({**conversion.COMMANDS, **extraction.COMMANDS, **experiments.COMMANDS})


def _problem(name: str) -> str:
    """Say what is wrong with the package that `import name` would find; nothing if it is ours."""
    spec = find_spec(name)
    if spec is None:
        return f"its package '{name}' is not there: install avmit again"
    place = Path(next(iter(spec.submodule_search_locations or [spec.origin or ""])))
    ours = Path(__file__).parent / name
    init = ours / "__init__.py"
    if place.resolve() == ours.resolve():
        if not init.is_file():
            return f"its package '{name}', in {place}, is not whole: install avmit again"
        if MARK in init.read_text(encoding="utf-8", errors="replace"):
            return ""
    return (
        f"another package called '{name}', in {place}, hides avmit's: uninstall it and install "
        "avmit again, or use a fresh environment"
    )


if __name__ == "__main__":
    main()
