"""Python processes in which some modules cannot be imported."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.places import ROOT

TENSORFLOW = ("tensorflow", "keras", "tf2onnx")


def run_without(
    modules: Sequence[str], *arguments: object, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python where importing any of these modules fails, as if they were broken."""
    stubs = cwd / "blocked"
    for module in modules:
        (stubs / module).mkdir(parents=True, exist_ok=True)
        (stubs / module / "__init__.py").write_text("raise ImportError('blocked')")
    path = os.pathsep.join([str(stubs), str(ROOT)])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
    )
