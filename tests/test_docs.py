"""The Python of docs/train.md runs as it stands after `make demo`."""

import importlib.util
import re
from pathlib import Path

import pytest
from support.places import ROOT

BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "train.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_there_is_what_to_try() -> None:
    assert len(BLOCKS) >= 9


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_a_block_runs_as_it_stands(
    after_demo: Path, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    block = BLOCKS[index]
    for module in re.findall(r"^import (torch|keras|jax)$", block, re.MULTILINE):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    monkeypatch.chdir(after_demo)
    exec(compile(block, f"docs/train.md, block {index}", "exec"), {"__name__": "__main__"})
