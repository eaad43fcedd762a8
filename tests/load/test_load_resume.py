"""What docs/streaming.md says of going on after a process has ended."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import ROOT
from support.releases import split_names

GUIDE = ROOT / "docs" / "streaming.md"
CONFIG = "vggish_vgg16"
STATES = "states = {}  # or those of the checkpoint\n"
LOADER = "loader = DataLoader(Resumable(stream, states), batch_size=None, num_workers=2)\n"

RUN = """
import itertools, json, sys
import avmit

package, config = sys.argv[1:]


def load():
    return avmit.load(config, "train", data_dir=package, streaming=True, columns="filename")


def names(rows):
    return [row["filename"] for row in rows]


def main():
    stream, states, first = load(), {}, []
    loader = DataLoader(Resumable(stream, states), batch_size=None, num_workers=2)
    for worker, state, row in itertools.islice(loader, 11):
        states[worker] = state
        first.append(row["filename"])
    kept = json.loads(json.dumps({str(worker): state for worker, state in states.items()}))
    states = {int(worker): state for worker, state in kept.items()}
    rest = DataLoader(Resumable(load(), states), batch_size=None, num_workers=2)
    found = {"workers": [first, names(row for _, _, row in rest)]}

    stream = load()
    first = names(itertools.islice(stream, 11))
    rest = load()
    rest.load_state_dict(stream.state_dict())
    found["alone"] = [first, names(rest)]

    epochs = [load().shuffle(seed=42, buffer_size=10) for _ in range(2)]
    for epoch in epochs:
        epoch.set_epoch(3)
    found["shuffled"] = [names(itertools.islice(epochs[0], 11))]
    found["shuffled"].append(names(itertools.islice(epochs[1], 11, None)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
"""


def test_each_row_comes_once_over_both_processes(
    sharded_package: Path, sharded_release: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (recipe,) = [block for block in blocks if "class Resumable" in block]
    ran = subprocess.run(
        [sys.executable, "-c", recipe[: recipe.index(STATES)] + RUN, str(sharded_package), CONFIG],
        env={**os.environ, "HF_DATASETS_CACHE": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    in_order = [
        name.replace(".tfrecord", ".mp4").rpartition("/")[2]
        for name in split_names(sharded_release, "train")
    ]
    assert LOADER in recipe
    found = json.loads(ran.stdout)
    assert set(found) == {"workers", "alone", "shuffled"}
    for way, (first, rest) in found.items():
        assert len(first) == 11, way
        both = [name.rpartition("/")[2] for name in first + rest]
        assert sorted(both) == sorted(in_order), way
    assert found["alone"][0] + found["alone"][1] != found["shuffled"][0] + found["shuffled"][1]
