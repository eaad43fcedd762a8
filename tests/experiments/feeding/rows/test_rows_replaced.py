"""A shard that is replaced under rows is noticed, here and in other processes."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from support.feeding import (
    CONFIG,
    SOME,
    made_rows,
    made_table,
    run_apart,
    write_package,
    write_shard,
)

import avmit
from experiments.feeding.rows import unchanged

SHARD = "train-00001-of-00002.arrow"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_package(tmp_path / "avmit", SOME)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files at every batch, not once a second."""
    monkeypatch.setattr(unchanged, "PAUSE", 0.0)


def replace_shard(package: Path) -> Path:
    """Put other rows, and as many, in the place of a shard's."""
    shard = package / CONFIG / SHARD
    count = len(SOME) - len(SOME) // 2
    new = made_rows([(4, 4)] * count)
    write_shard(package / "new", made_table(new))
    (package / "new").rename(shard)
    return shard


def said_of(shard: Path) -> str:
    return f"{shard.resolve()} was replaced while its rows were read: load the package again"


def test_within_an_epoch(package: Path, always: None) -> None:
    batches = iter(avmit.batches(avmit.load(CONFIG, "train", data_dir=package), 2, ahead=0))
    next(batches)
    next(batches)
    shard = replace_shard(package)
    with pytest.raises(avmit.AvmitError) as error:
        next(batches)
    assert str(error.value) == said_of(shard)


def test_while_batches_are_made_beforehand(package: Path, always: None) -> None:
    batches = avmit.batches(avmit.load(CONFIG, "train", data_dir=package), 2)
    came = 0
    with pytest.raises(avmit.AvmitError) as error:
        for _ in batches:
            came += 1
            if came == 3:
                shard = replace_shard(package)
    assert str(error.value) == said_of(shard)
    assert 3 <= came <= 6


@pytest.mark.parametrize("change", ["gone", "written to", "cut off"])
def test_other_changes(package: Path, always: None, change: str) -> None:
    rows = avmit.rows(avmit.load(CONFIG, "train", data_dir=package))
    assert len(list(rows)) == 23
    shard = package / CONFIG / SHARD
    if change == "gone":
        shard.unlink()
    elif change == "written to":
        with shard.open("r+b") as file:
            file.write(file.read(1))
        os.utime(shard, ns=(0, shard.stat().st_mtime_ns + 10**6))
    else:
        os.truncate(shard, shard.stat().st_size - 8)
    with pytest.raises(avmit.AvmitError) as error:
        rows[0]
    assert str(error.value) == said_of(shard)


def test_what_is_not_looked_at_goes_on(package: Path, always: None) -> None:
    (package / CONFIG).joinpath("manifest.json").write_text("{}")
    rows = avmit.rows(avmit.load(CONFIG, "train", data_dir=package))
    (package / CONFIG / "manifest.json").write_text("[]")
    assert len(list(rows)) == 23


def test_looks_are_not_repeated_at_once(package: Path) -> None:
    """A look at some hundred shards takes as long as a batch: one second is between two."""
    assert unchanged.PAUSE == 1.0


def test_when_it_is_pickled(package: Path) -> None:
    rows = avmit.rows(avmit.load(CONFIG, "train", data_dir=package))
    shard = replace_shard(package)
    with pytest.raises(avmit.AvmitError) as error:
        pickle.dumps(rows)
    assert str(error.value) == said_of(shard)


READ = """
import pickle, sys
from pathlib import Path
import avmit

rows = pickle.loads(Path(sys.argv[1]).read_bytes())
assert len(rows) == 23
try:
    rows[0]
except avmit.AvmitError as error:
    sys.exit(f"AvmitError: {error}")
"""


def read_apart(rows: Any, file: Path) -> str:
    file.write_bytes(rows)
    ran = run_apart(READ, file)
    return ran.stderr.strip()


@pytest.mark.parametrize("gone", [False, True])
def test_after_it_was_pickled(package: Path, tmp_path: Path, gone: bool) -> None:
    pickled = pickle.dumps(avmit.rows(avmit.load(CONFIG, "train", data_dir=package)))
    shard = package / CONFIG / SHARD
    if gone:
        shard.unlink()
    else:
        replace_shard(package)
    assert read_apart(pickled, tmp_path / "rows") == f"AvmitError: {said_of(shard)}"
    # In this process, too, it is mapped again where it is unpickled.
    with pytest.raises(avmit.AvmitError) as error:
        pickle.loads(pickled)[0]
    assert str(error.value) == said_of(shard)


def test_after_it_was_loaded_and_before_rows_were_looked_at(package: Path, tmp_path: Path) -> None:
    """Here the old file is mapped, in another process the new one would be."""
    ds = avmit.load(CONFIG, "train", data_dir=package)
    replace_shard(package)
    rows = avmit.rows(ds)
    assert [row["audio"].tolist() for row in rows] == [
        row["audio"].tolist() for row in made_rows(SOME)
    ]
    said = read_apart(pickle.dumps(rows), tmp_path / "rows")
    first = (package / CONFIG / "train-00000-of-00002.arrow").resolve()
    assert said == (
        f"AvmitError: {first} or one of 1 more was replaced while its rows were read: load the "
        "package again"
    )
