"""`avmit.rows` is a random-access source of grain's loaders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.feeding import (
    CONFIG,
    SOME,
    Row,
    apart,
    in_batches,
    made_rows,
    padded,
    write_package,
)

import avmit

grain: Any = pytest.importorskip("grain", reason="grain is not installed")
COLUMNS = ("label", "filename")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Any:
    package = write_package(tmp_path_factory.mktemp("package") / "avmit", SOME)
    return avmit.rows(avmit.load(CONFIG, "train", data_dir=package), columns=COLUMNS)


def together(rows: Sequence[Row]) -> Row:
    """Put rows together as a user would."""
    return {
        "audio": padded(rows, "audio"),
        "label": [row["label"] for row in rows],
        "filename": [row["filename"] for row in rows],
    }


def test_a_map_dataset(rows: Any) -> None:
    dataset = grain.MapDataset.source(rows).batch(4, batch_fn=together)
    assert len(dataset) == 6
    for batch, group in zip(dataset, in_batches(made_rows(SOME), 4), strict=True):
        assert batch["filename"] == [row["filename"] for row in group]
        assert batch["audio"].tolist() == padded(group, "audio").tolist()


def test_an_epoch_that_is_shuffled_and_goes_on(rows: Any) -> None:
    dataset = grain.MapDataset.source(rows).shuffle(seed=3).to_iter_dataset()
    names = [row["filename"] for row in dataset]
    assert sorted(names) == sorted(row["filename"] for row in made_rows(SOME))
    coming = iter(dataset)
    for _ in range(9):
        next(coming)
    state = coming.get_state()
    again = iter(dataset)
    again.set_state(state)
    assert [row["filename"] for row in again] == names[9:]


def loader_of(rows: Any, **options: Any) -> Any:
    sampler = grain.samplers.IndexSampler(
        len(rows), shard_options=grain.sharding.NoSharding(), shuffle=True, num_epochs=1, seed=4
    )
    return grain.DataLoader(data_source=rows, sampler=sampler, **options)


def test_a_data_loader(rows: Any) -> None:
    loader = loader_of(rows, worker_count=0)
    found = list(loader)
    assert sorted(row["filename"] for row in found) == sorted(
        row["filename"] for row in made_rows(SOME)
    )
    table = {row["filename"]: row for row in made_rows(SOME)}
    for row in found:
        assert row["visual"].tolist() == table[row["filename"]]["visual"].tolist()
    coming = iter(loader)
    for _ in range(5):
        next(coming)
    again = iter(loader_of(rows, worker_count=0))
    again.set_state(coming.get_state())  # which holds what `repr` says of the rows
    assert [row["filename"] for row in again] == [row["filename"] for row in found[5:]]


WORKERS = """
import json, sys
import avmit
import grain


def main():
    rows = avmit.rows(avmit.load("tiny", "train", data_dir=sys.argv[1]), columns=["filename"])
    sampler = grain.samplers.IndexSampler(
        len(rows), shard_options=grain.sharding.NoSharding(), shuffle=True, num_epochs=1, seed=4
    )
    loader = grain.DataLoader(data_source=rows, sampler=sampler, worker_count=2)
    json.dump([[row["filename"], row["visual"].tolist()] for row in loader], sys.stdout)


if __name__ == "__main__":
    from absl import flags

    flags.FLAGS(sys.argv[:1])
    main()
"""


def test_worker_processes(rows: Any, tmp_path: Path) -> None:
    package = write_package(tmp_path / "avmit", SOME)
    file = tmp_path / "script.py"  # the workers of grain import the program anew
    file.write_text(WORKERS)
    script = f"import runpy; runpy.run_path({str(file)!r}, None, '__main__')"
    found = apart(script, package, HF_DATASETS_CACHE=str(tmp_path / "cache"))
    table = {row["filename"]: row["visual"].tolist() for row in made_rows(SOME)}
    assert len(found) == 23
    assert dict(map(tuple, found)) == table
    assert [name for name, _ in found] == [
        row["filename"] for row in loader_of(rows, worker_count=0)
    ]
