"""Where a stream is, and how it goes on there: at the very row, also after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.feeding import videos
from support.hub.server import HubServer
from support.releases import assert_same_rows
from support.streaming import full, names, ranges, streamed, write_indexed

import avmit

REPO = "ann/tiny"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 rows in 18 record batches of three shards; never written to."""
    return write_indexed(tmp_path_factory.mktemp("tiny") / "avmit")


def resumed(source: Any, state: dict[str, int], **options: Any) -> Any:
    again = streamed(source, **options)
    again.load_state_dict(json.loads(json.dumps(state)))
    assert again.state_dict() == state
    return again


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world_size", [1, 3])
def test_rows_go_on_at_every_position(tiny: Path, shuffle: bool, world_size: int) -> None:
    options: dict[str, Any] = {"shuffle": shuffle, "world_size": world_size, "rank": world_size - 1}
    stream = streamed(tiny, seed=4, epoch=1, **options)
    whole = list(stream)
    assert stream.state_dict() == {"seed": 4, "epoch": 2, "position": 0}
    following = names(stream)
    stream = streamed(tiny, seed=4, epoch=1, **options)
    coming = iter(stream)
    for position in range(len(whole) + 1):
        state = stream.state_dict()
        assert state == {"seed": 4, "epoch": 1, "position": position}
        again = resumed(tiny, state, **options)
        assert_same_rows(again, whole[position:])
        assert again.state_dict() == {"seed": 4, "epoch": 2, "position": 0}
        next(coming, None)
    assert names(again) == following
    assert (following == names(whole)) == (not shuffle)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("batch_size", "drop_last"), [(1, False), (4, False), (4, True)])
def test_batches_go_on_at_every_position(
    tiny: Path, shuffle: bool, batch_size: int, drop_last: bool
) -> None:
    options: dict[str, Any] = {
        "shuffle": shuffle,
        "batch_size": batch_size,
        "drop_last": drop_last,
        "columns": ["filename", "audio"],
    }
    stream = streamed(tiny, seed=4, **options)
    whole = videos(stream)
    assert stream.state_dict() == {"seed": 4, "epoch": 1, "position": 0}
    for position in range(len(whole) + 1):
        state = {"seed": 4, "epoch": 0, "position": position}
        again = resumed(tiny, state, **options)
        assert videos(again) == whole[position:]
        assert len(again) == len(whole)


@pytest.mark.parametrize("shuffle", [False, True])
def test_only_record_batches_to_come_are_fetched(hub: HubServer, tiny: Path, shuffle: bool) -> None:
    """In order; shuffled, those of the window that was begun too."""
    hub.put_folder(REPO, tiny)
    options: dict[str, Any] = {"shuffle": shuffle, "window": 2, "columns": ["filename"]}
    for position in (0, 1, 20, 50, 52, 53):
        again = resumed(REPO, {"seed": 0, "epoch": 0, "position": position}, **options)
        hub.reset_counts()
        assert len(list(again)) == 53 - position
        count = len(ranges(hub))
        assert count == len(set(ranges(hub)))
        assert -(-(53 - position) // 3) <= count <= -(-(53 - position) // 3) + (2 if shuffle else 1)
        assert bool(count) == (position < 53)


def test_a_state_counts_what_was_given(tiny: Path) -> None:
    """Not what was fetched beforehand."""
    for batch_size in (None, 3):
        stream = streamed(tiny, batch_size=batch_size, seed=3, epoch=2)
        assert stream.state_dict() == {"seed": 3, "epoch": 2, "position": 0}
        for count, _ in enumerate(stream, 1):
            assert stream.state_dict() == {"seed": 3, "epoch": 2, "position": count}
        assert stream.state_dict() == {"seed": 3, "epoch": 3, "position": 0}


def test_epochs_follow_each_other_and_what_is_left_early_begins_anew(tiny: Path) -> None:
    stream = streamed(tiny, shuffle=True, seed=1, columns=["filename"])
    epochs = [names(stream) for _ in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(sorted(epoch) == sorted(names(full())) for epoch in epochs)
    for number in (2, 0, 1):
        stream.set_epoch(number)
        for _ in stream:
            break
        assert names(stream) == epochs[number]
    with pytest.raises(avmit.AvmitError) as error:
        stream.set_epoch(-1)
    assert str(error.value) == "epoch=-1: it is a whole number from 0 on"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({}, "this is not a state: give what state_dict() returned"),
        (None, "this is not a state: give what state_dict() returned"),
        ({"seed": 0, "epoch": 0}, "this is not a state: give what state_dict() returned"),
        (
            {"seed": -1, "epoch": 0, "position": 0},
            "seed=-1: it is a whole number from 0 on",
        ),
        (
            {"seed": 0, "epoch": 0, "position": "1"},
            "position='1' is not a whole number",
        ),
    ],
)
def test_wrong_states(tiny: Path, state: Any, said: str) -> None:
    for batch_size in (None, 4):
        stream = streamed(tiny, batch_size=batch_size)
        with pytest.raises(avmit.AvmitError) as error:
            stream.load_state_dict(state)
        assert str(error.value) == said
        assert stream.state_dict() == {"seed": 0, "epoch": 0, "position": 0}


@pytest.mark.parametrize(
    ("batch_size", "position", "of"),
    [(None, 54, "53 rows"), (4, 15, "14 batches")],
)
def test_a_state_of_other_rows(tiny: Path, batch_size: int | None, position: int, of: str) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        streamed(tiny, batch_size=batch_size).load_state_dict(
            {"seed": 0, "epoch": 0, "position": position}
        )
    assert str(error.value) == (
        f"position={position}, and an epoch has {of}: the state is of other rows, another "
        "batch_size or another world_size"
    )


TRAIN = """
import json, sys
from pathlib import Path

import avmit

state, source, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


def main():
    options = {"data_dir": source, "columns": ["filename", "audio"], "shuffle": True, "seed": 11}
    stream = avmit.stream("tiny", **options)
    if kind == "batches":
        stream = avmit.batches(stream, 6, visual=False, columns=["filename"])
    elif kind == "loader":
        stream = avmit.torch_loader(
            stream, 6, visual=False, columns=["filename"], num_workers=2,
            multiprocessing_context="fork",
        )
    if state.exists():
        stream.load_state_dict(json.loads(state.read_text()))
    while stream.state_dict()["epoch"] < 2:
        for given in stream:
            audio = given["audio"]
            said = audio.tolist() if hasattr(audio, "tolist") else audio
            print(json.dumps([given["filename"], said]), flush=True)
            part = state.with_suffix(".part")
            part.write_text(json.dumps(stream.state_dict()))
            part.rename(state)
            print("done", flush=True)
            sys.stdin.readline()  # waits for its end, or to be told to go on


if __name__ == "__main__":
    main()
"""


def trained(script: Path, *arguments: object, kill_after: int | None = None) -> list[str]:
    """Train in a process of its own, kill it after some batches, and return what it took."""
    script.write_text(TRAIN)
    process = subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(avmit.__file__).parent)},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    taken: list[str] = []
    with process.stdout as lines, process.stdin as told:
        for line in lines:
            if line != "done\n":
                taken.append(line)
            elif len(taken) == kill_after:
                os.killpg(process.pid, signal.SIGKILL)
                break
            else:
                told.write("\n")
                told.flush()
    assert process.wait() == (0 if kill_after is None else -signal.SIGKILL)
    return taken


@pytest.mark.parametrize("kind", ["rows", "batches", "loader"])
def test_a_run_that_is_killed_goes_on(
    hub: HubServer, tiny: Path, tmp_path: Path, kind: str
) -> None:
    """Also in the second epoch; exactly what an undisturbed run takes."""
    hub.put_folder(REPO, tiny)
    options: dict[str, Any] = {"columns": ["filename", "audio"], "shuffle": True, "seed": 11}
    undisturbed = streamed(tiny, batch_size=None if kind == "rows" else 6, **options)
    wanted = [[o["filename"], o["audio"].tolist()] for _ in range(2) for o in undisturbed]
    kills = [len(wanted) // 3, len(wanted) // 3]
    if kind == "loader":  # of two workers; to import torch takes its time
        pytest.importorskip("torch")
        kills = [2 * len(wanted) // 3]
    script, state = tmp_path / "train.py", tmp_path / "state"
    taken: list[str] = []
    for count in kills:
        taken += trained(script, state, REPO, kind, kill_after=count)
    taken += trained(script, state, REPO, kind)
    assert [json.loads(line) for line in taken] == wanted
