"""`avmit.torch_loader` and `avmit.rows` in worker processes, forked and spawned."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.feeding import (
    CONFIG,
    SOME,
    apart,
    in_batches,
    made_rows,
    padded,
    trained,
    videos,
    write_package,
)

import avmit

pytest.importorskip("torch", reason="PyTorch is not installed")
TESTS = str(Path(__file__).parents[3])
COLUMNS = ("label", "filename")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("package") / "avmit", SOME)


def loader_of(package: Path, **options: Any) -> Any:
    ds = avmit.load(CONFIG, "train", data_dir=package)
    return avmit.torch_loader(ds, 4, columns=COLUMNS, shuffle=True, seed=6, **options)


# One process for all, since each start of PyTorch takes seconds; no fork of what tests loaded.
READ = """
import json, sys
import avmit
import torch
from support.feeding import collate

COLUMNS = ("label", "filename")


def told(batches):
    found = []
    for batch in batches:
        one = {}
        for name, value in batch.items():
            if getattr(value, "is_nested", False):
                value = [part.tolist() for part in value.unbind()]
            one[name] = value.tolist() if isinstance(value, torch.Tensor) else value
        found.append(one)
    return found


def main():
    package, method = sys.argv[1], sys.argv[2]
    ds = avmit.load("tiny", "train", data_dir=package)
    found = {}

    def loader_of(workers, source=ds, **options):
        return avmit.torch_loader(
            source, 4, columns=COLUMNS, shuffle=True, seed=6, num_workers=workers,
            multiprocessing_context=method, **options,
        )

    for workers, layout in ((1, "padded"), (2, "jagged")):
        loader = loader_of(workers, layout=layout)
        coming = iter(loader)
        first = [next(coming), next(coming)]
        state = loader.state_dict()
        found[f"{workers} {layout}"] = told(first) + told(coming), state, loader.state_dict()

    if method == "fork":  # spawned ones take seconds to start
        loader = loader_of(2, persistent_workers=True)
        epochs = [told(loader), told(loader)]
        loader.load_state_dict({"seed": 6, "epoch": 1, "position": 4})
        found["persistent"] = [*epochs, told(loader)]

    try:
        list(loader_of(1, timesteps=4))
    except avmit.AvmitError as error:
        found["too long"] = str(error)

    other = iter(avmit.batches(ds, 4))  # a thread of ours is there while workers start
    next(other)
    rows = avmit.rows(ds, columns=COLUMNS)
    data = torch.utils.data.DataLoader(
        rows, 5, collate_fn=collate, num_workers=1, multiprocessing_context=method
    )
    found["own"] = told(data)
    list(other)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_give_what_no_workers_give(
    package: Path, tmp_path: Path, method: str, cache: Path
) -> None:
    found = apart(
        READ,
        package,
        method,
        PYTHONPATH=TESTS,
        HF_DATASETS_CACHE=str(tmp_path / "cache"),
    )
    rows = {row["filename"]: row for row in made_rows(SOME)}
    order = videos(loader_of(package))
    for case in ("1 padded", "2 jagged"):
        batches, state, after = found[case]
        assert state == {"seed": 6, "epoch": 0, "position": 2}
        assert after == {"seed": 6, "epoch": 1, "position": 0}
        assert [batch["filename"] for batch in batches] == order
        for batch in batches:
            group = [rows[name] for name in batch["filename"]]
            assert batch["label"] == [row["label"] for row in group]
            for name in ("audio", "visual"):
                if case == "1 padded":
                    assert batch[name] == padded(group, name).tolist()
                    assert batch[f"{name}_lengths"] == [len(row[name]) for row in group]
                else:
                    assert batch[name] == [row[name].tolist() for row in group]
    if method == "fork":
        first, second, rest = found["persistent"]
        assert [batch["filename"] for batch in first] == order
        assert [batch["filename"] for batch in second] == videos(loader_of(package, epoch=1))
        assert rest == second[4:]
    assert found["too long"].startswith("visual of row ")
    assert found["too long"].endswith(
        ' has 5 timesteps, more than timesteps=4: raise that, or pass on_long="truncate"'
    )
    for batch, group in zip(found["own"], in_batches(made_rows(SOME), 5), strict=True):
        assert batch["filename"] == [row["filename"] for row in group]
        assert batch["audio"] == padded(group, "audio").tolist()


CHANGE = """
import json, sys
from pathlib import Path
import avmit
import torch
from experiments.feeding.rows import unchanged
from support.feeding import collate, made_rows, made_table, write_shard


def said(call):
    try:
        call()
    except avmit.AvmitError as error:
        return str(error)


def replace(shard):
    count = 23 - 23 // 2
    write_shard(shard.with_name("new"), made_table(made_rows([(4, 4)] * count)))
    shard.with_name("new").rename(shard)


def main():
    package = Path(sys.argv[1])
    shard = package / "tiny" / "train-00001-of-00002.arrow"
    found = {}

    loader = avmit.torch_loader(avmit.load("tiny", "train", data_dir=package), 1, num_workers=1,
                                multiprocessing_context="spawn", prefetch_factor=1)
    coming = iter(loader)
    next(coming)
    replace(shard)
    with_new = avmit.load("tiny", "train", data_dir=package)
    found["new"] = len(list(avmit.torch_loader(with_new, 8)))
    # The next epoch starts workers anew.
    coming.close()
    found["next epoch"] = said(lambda: list(loader))
    replace(shard)
    rows = avmit.rows(avmit.load("tiny", "train", data_dir=package))
    own = torch.utils.data.DataLoader(rows, 4, collate_fn=collate, num_workers=1,
                                      multiprocessing_context="spawn")
    replace(shard)
    found["own"] = said(lambda: list(own))

    unchanged.PAUSE = 0.0  # forked workers look at every batch, too
    loader = avmit.torch_loader(avmit.load("tiny", "train", data_dir=package), 1, num_workers=1,
                                multiprocessing_context="fork", prefetch_factor=1)
    coming = iter(loader)
    next(coming)
    replace(shard)
    found["forked"] = said(lambda: list(coming))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
"""


def test_a_shard_that_is_replaced_under_workers(tmp_path: Path) -> None:
    package = write_package(tmp_path / "avmit", SOME)
    found = apart(CHANGE, package, PYTHONPATH=TESTS, HF_DATASETS_CACHE=str(tmp_path / "cache"))
    shard = (package / CONFIG / "train-00001-of-00002.arrow").resolve()
    said = f"{shard} was replaced while its rows were read: load the package again"
    assert found == {"new": 3, "next epoch": said, "own": said, "forked": said}


TRAIN = """
import json, sys
from pathlib import Path
import avmit


def main():
    package, state, workers, method, rank = sys.argv[1:]
    loader = avmit.torch_loader(
        avmit.load("tiny", "train", data_dir=package), 2, shuffle=True, seed=8, rank=int(rank),
        world_size=2, num_workers=int(workers), multiprocessing_context=method or None,
    )
    state = Path(state)
    if state.exists():
        loader.load_state_dict(json.loads(state.read_text()))
    while loader.state_dict()["epoch"] < 2:
        for batch in loader:
            said = {name: value.numpy().tobytes().hex() for name, value in batch.items()}
            print(json.dumps(said), flush=True)
            state.write_text(json.dumps(loader.state_dict()))
            print("done", flush=True)
            input()


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("workers", "method", "rank", "kill_after"),
    [(0, "", 0, 3), (1, "spawn", 1, 8), (3, "fork", 0, 5)],
)
def test_a_run_that_is_killed_goes_on(
    package: Path, tmp_path: Path, workers: int, method: str, rank: int, kill_after: int
) -> None:
    """With the batches that an undisturbed run without workers would have given, bit for bit."""
    ds = avmit.load(CONFIG, "train", data_dir=package)
    loader = avmit.torch_loader(ds, 2, shuffle=True, seed=8, rank=rank, world_size=2)
    whole = [
        json.dumps({name: value.numpy().tobytes().hex() for name, value in batch.items()}) + "\n"
        for _ in range(2)
        for batch in loader
    ]
    assert len(whole) == 12
    arguments = (package, tmp_path / "state", workers, method, rank)
    taken = trained(TRAIN, *arguments, kill_after=kill_after)
    assert taken == whole[:kill_after]
    assert taken + trained(TRAIN, *arguments) == whole
