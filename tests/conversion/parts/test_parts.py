"""What tasks share: who comes first, what is seen late, and what others write there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import Run
from support.places import ROOT
from support.releases import sharded_options

from avmit import AvmitError
from conversion.convert.build import convert
from conversion.convert.tasks import convert_shards
from conversion.package.manifest import sha256_of
from conversion.parts import agreed, heartbeat
from conversion.parts.agreed import put_first, seal
from conversion.parts.finish import finish
from conversion.parts.finished import Finished, add_finished, content_of, read_finished
from conversion.parts.heartbeat import Heartbeat
from conversion.parts.jobs import jobs
from conversion.parts.place import PlanFolder
from conversion.parts.plan import Plan
from conversion.parts.selection import Selection, parse_selection
from conversion.whole import read_regular
from conversion.wording import printable

NAME = "vggish_vgg16"
OPTIONS = replace(sharded_options(), configs=[NAME])
ALL = Selection(frozenset([0]), 1)


@pytest.fixture(scope="module")
def planned(sharded_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of which all shards are made, and not put together; never written to."""
    out = tmp_path_factory.mktemp("planned") / "avmit"
    convert_shards(sharded_release, out, OPTIONS, ALL)
    return out


@pytest.fixture(scope="module")
def whole(sharded_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run on one machine makes."""
    out = tmp_path_factory.mktemp("whole") / "avmit"
    convert(sharded_release, out, OPTIONS)
    return out


@pytest.fixture
def out(planned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planned, tmp_path / "avmit"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".avmit.lock"
    }


def folder_of(out: Path) -> tuple[PlanFolder, Plan]:
    folder = PlanFolder(out, NAME)
    plan = folder.read()
    assert plan is not None
    return folder, plan


def unfinish(folder: PlanFolder, plan: Plan) -> Finished:
    """Take the first shard away again, and return what there was of it."""
    there = read_finished(folder, plan, 0)
    assert there is not None
    for path in folder.shards.glob(f"{there.shard.file}.*"):
        path.unlink()
    return there


def at_once(*work: Callable[[], None]) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(one: Callable[[], None]) -> None:
        try:
            start.wait()
            one()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


@pytest.mark.parametrize("links", [True, False])
def test_two_who_finish_a_shard_at_once_a_hundred_times(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Both make it of other bits, as GPUs do: one is there, whole, and its mark says which."""
    folder, plan = folder_of(out)
    there = unfinish(folder, plan)
    if not links:

        def link(*_: Any, **more: Any) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", link)
    for number in range(100):
        found: list[Finished] = []

        def write(bits: bytes, found: list[Finished] = found) -> None:
            path = tmp_path / f"{bits.decode()}-{there.shard.file}"
            path.write_bytes(bits * 1000)
            sha256 = sha256_of(path)
            shard = replace(there.shard, bytes=len(bits) * 1000, sha256=sha256)
            found.append(add_finished(folder, plan, 0, path, replace(there, shard=shard)))

        at_once(lambda: write(b"one"), lambda: write(b"other"))
        last = read_finished(folder, plan, 0)
        assert last is not None and last in found
        if links:
            assert found == [last, last]
        path = content_of(folder, last.shard)
        assert sha256_of(path) == last.shard.sha256, number
        unfinish(folder, plan)


def test_two_tasks_at_the_same_shards_at_once(
    sharded_release: Path, whole: Path, tmp_path: Path
) -> None:
    for number in range(5):
        out = tmp_path / str(number)

        def work(out: Path = out) -> None:
            convert_shards(sharded_release, out, OPTIONS, ALL)

        at_once(work, work)
        finish(out, [NAME])
        assert contents(out) == contents(whole)


def test_who_comes_first_stays(tmp_path: Path) -> None:
    for number in range(100):
        path = tmp_path / str(number)
        won: list[bytes] = []

        def put(data: bytes, path: Path = path, won: list[bytes] = won) -> None:
            if put_first(path, data):
                won.append(data)

        at_once(*(lambda data=data: put(data) for data in (b"one", b"two", b"three")))
        assert [path.read_bytes()] == won
    assert len(list(tmp_path.iterdir())) == 100


def test_what_another_host_renamed_is_seen_late(
    sharded_release: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This host has none of the other's files at first, and is told that they are there."""
    out = tmp_path / "avmit"
    convert_shards(sharded_release, out, OPTIONS, parse_selection("0/2"))
    there = {path.name for path in out.rglob("*") if path.is_file()}
    seen: dict[str, int] = {}
    read = read_regular

    def late(path: Path, most: int | None = None) -> bytes:
        seen[path.name] = seen.get(path.name, 0) + 1
        if path.name in there and seen[path.name] < 3:
            raise FileNotFoundError(path)
        return read(path, most)

    monkeypatch.setattr(agreed, "_POLL_SECONDS", 0.001)
    for module in ("agreed", "finished", "place"):
        monkeypatch.setattr(f"conversion.parts.{module}.read_regular", late)
    (made,) = convert_shards(sharded_release, out, OPTIONS, ALL)
    assert len(made.numbers) == 3
    monkeypatch.undo()
    finish(out, [NAME])
    assert contents(out) == contents(whole)


def test_what_is_never_seen_is_one_line(
    out: Path, sharded_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plan = folder_of(out)
    (folder.path / plan.listing).unlink()
    unfinish(folder, plan)
    monkeypatch.setattr(agreed, "LATE_SECONDS", 0.0)
    with pytest.raises(AvmitError, match=r"listing-\w+ cannot be read for train-00000"):
        convert_shards(sharded_release, out, OPTIONS, ALL)


def test_a_shard_whose_file_is_cut_off_is_made_again(
    out: Path, sharded_release: Path, whole: Path
) -> None:
    folder, plan = folder_of(out)
    there = read_finished(folder, plan, 1)
    assert there is not None
    path = content_of(folder, there.shard)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AvmitError, match="1 of 3 shards are not done: run their tasks again"):
        finish(out, [NAME])
    (made,) = convert_shards(sharded_release, out, OPTIONS, ALL)
    assert made.made == 1
    finish(out, [NAME])
    assert contents(out) == contents(whole)


def test_without_its_entry_of_the_index_a_shard_is_read(out: Path, whole: Path) -> None:
    folder, _ = folder_of(out)
    for number, path in enumerate(sorted(folder.shards.glob("*.index"))):
        if number:
            path.write_bytes(path.read_bytes()[:-9])
        else:
            path.unlink()
    finish(out, [NAME])
    assert contents(out) == contents(whole)


def test_no_shard_is_read_to_finish(
    out: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    read = Path.open

    def counted(path: Path, *arguments: Any, **more: Any) -> Any:
        opened.append(path.name)
        return read(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", counted)
    monkeypatch.setattr("conversion.parts.finish.index_shard", None)
    monkeypatch.setattr("conversion.package.staging.build_index", None)
    finish(out, [NAME])
    monkeypatch.undo()
    assert not [name for name in opened if ".arrow" in name]
    assert contents(out) == contents(whole)


def test_a_link_in_the_plans_place(sharded_release: Path, tmp_path: Path) -> None:
    out, theirs = tmp_path / "avmit", tmp_path / "theirs"
    theirs.mkdir()
    (out / ".avmit-work").mkdir(parents=True)
    (out / ".avmit-work" / f"{NAME}.plan").symlink_to(theirs)
    with pytest.raises(AvmitError, match=r"is not a folder of avmit's but .* a link or a file"):
        convert_shards(sharded_release, out, OPTIONS, ALL)
    assert list(theirs.iterdir()) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("aé\n\x1b/.", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    inner: Any = ()
    if isinstance(content, dict | list):
        inner = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inner:
        found += places(value, (*path, key))
    return found


def put(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    at = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return content


FILES = ("plan.json", "source.json", "shards/*.arrow.json", "shards/*.index", "tasks/x.json")


@given(data=st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_anybody_wrote_there(
    data: st.DataObject,
    planned: Path,
    sharded_release: Path,
    whole: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Any of its files may say anything: it is a line, or makes no difference."""
    out = Path(shutil.copytree(planned, tmp_path_factory.mktemp("hostile") / "avmit"))
    folder, _ = folder_of(out)
    with Heartbeat(folder, "x") as heart:
        heart.begin("train-00000-of-00002.arrow", 7)
        saved = (folder.tasks / "x.json").read_bytes()
    (folder.tasks / "x.json").write_bytes(saved)
    file = sorted(folder.path.glob(data.draw(st.sampled_from(FILES))))[0]
    content = json.loads(file.read_bytes())
    resealed = False
    if data.draw(st.integers(0, 4)):
        content = put(content, data.draw(st.sampled_from(places(content))), data.draw(JSON))
        file.write_text(json.dumps(content))
        if resealed := data.draw(st.booleans()) and isinstance(content, dict):
            file.write_bytes(seal(content.get("content")))
    else:
        text = file.read_bytes()
        at = len(text) * data.draw(st.integers(0, 999)) // 1000
        file.write_bytes(text[:at] + data.draw(st.binary(max_size=3)))
    try:
        jobs(folder)
        convert_shards(sharded_release, out, OPTIONS, ALL)
        finish(out, [NAME])
    except AvmitError as error:
        assert "\n" not in printable(str(error))
        assert not (out / NAME).exists()
    else:
        expected = contents(whole)
        assert contents(out).keys() >= expected.keys()
        for name, data_of in contents(out).items():
            if name in expected and not resealed:
                assert data_of == expected[name], name
    shutil.rmtree(out.parent)


def test_what_is_no_file(out: Path, run: Run, sharded_release: Path) -> None:
    folder, plan = folder_of(out)
    there = unfinish(folder, plan)
    (folder.shards / f"{there.shard.file}.json").mkdir()
    (folder.tasks / "a.json").mkdir()
    os.mkfifo(folder.tasks / "b.json")
    (folder.tasks / "c.json").symlink_to("/dev/zero")
    (folder.tasks / "d.json").write_text("[" * 100_000)
    states = [job.state for job in jobs(folder).shards]
    assert states == ["not started", "done", "done"]
    (folder.shards / f"{there.shard.file}.json").rmdir()
    (folder.path / "plan.json").unlink()
    os.mkfifo(folder.path / "plan.json")
    with pytest.raises(AvmitError, match=r"plan.json cannot be used .*: delete"):
        jobs(folder)


def test_jobs(out: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan = folder_of(out)
    unfinish(folder, plan)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    name = plan.shards[0].file
    assert [job.state for job in jobs(folder).shards] == ["not started", "done", "done"]
    queued = jobs(folder, {0: "pending: Priority"}).shards[0]
    assert (queued.state, queued.where) == ("queued", "pending: Priority")
    with Heartbeat(folder, "task-1-00000000") as heart:
        heart.begin(name, 16)
        heart.advance(4)
        deadline = time.monotonic() + 10
        while (job := jobs(folder, {0: "running"}).shards[0]).done < 4:
            assert time.monotonic() < deadline
        assert (job.state, job.done, job.of) == ("running", 4, 16)
        assert job.where.endswith(f", process {os.getpid()}, job 17_3")
        shown = run("jobs", "avmit")
        assert (shown.code, shown.err) == (0, "")
        assert "4 of 16" in shown.out
        assert f"{NAME}: 36 of 48 rows; shards: 2 done, 1 running; " in shown.out
        heart.end("first\nlast line")
    told = json.loads(run("jobs", "avmit", "--json", "--failed").out)[NAME]
    assert told["counts"] == {"done": 2, "running": 0, "queued": 0, "failed": 1, "not started": 0}
    assert [job["lines"] for job in told["shards"]] == ["first\nlast line"]
    assert (told["rows_done"], told["rows"], told["seconds_left"]) == (32, 48, None)
    ran = run("finish", "avmit")
    assert ran.code == 1
    assert ran.out.startswith(f"{NAME}/{name}: failed on ")
    assert ran.out.endswith(", job 17_3: last line\n")


def test_a_task_that_is_gone_is_told(out: Path) -> None:
    folder, plan = folder_of(out)
    unfinish(folder, plan)
    with Heartbeat(folder, "x") as heart:
        heart.begin(plan.shards[0].file, 16)
        heart.advance(4)
        heart.say()
        said = json.loads((folder.tasks / "x.json").read_bytes())
    said["host"] = "elsewhere"
    file = folder.tasks / "x.json"
    file.write_text(json.dumps({**said, "now": said["now"] - 1000}))
    assert jobs(folder).shards[0].state == "running"  # a clock that goes wrong
    os.utime(file, (said["now"] - 1000, said["now"] - 1000))
    job = jobs(folder).shards[0]
    assert (job.state, job.lines) == ("failed", "lost after 4 of 16 videos")


def test_a_task_that_ends_well_leaves_no_file(out: Path) -> None:
    folder, _ = folder_of(out)
    assert list(folder.tasks.iterdir()) == []


def test_jobs_tells_what_has_been_put_together(out: Path, run: Run) -> None:
    assert run("finish", "avmit").code == 0
    for options in ([], ["--failed"], ["--watch"], ["--config", NAME]):
        ran = run("jobs", "avmit", *options)
        assert (ran.code, ran.err) == (0, "")
        assert f"{NAME}: done and put together\n" in ran.out
    assert json.loads(run("jobs", "avmit", "--json").out) == {}


def test_watching_ends_when_all_is_done(out: Path, run: Run) -> None:
    ran = run("jobs", "avmit", "--watch")
    assert ran.code == 0
    assert f"{NAME}: 48 of 48 rows; shards: 3 done" in ran.out


STOPPED_WHILE_IT_BEGINS = """
import os, signal, sys

import avmit_cli
from rich.console import Console

begin = Console.push_render_hook


def push_render_hook(console, hook):
    os.kill(os.getpid(), signal.SIGINT)
    begin(console, hook)


Console.push_render_hook = push_render_hook
sys.argv[0] = "avmit"
avmit_cli.main()
"""
"""The command, to which Ctrl-C comes when what is shown has the terminal and not begun."""


@pytest.mark.parametrize("early", [False, True])
def test_watching_is_stopped(out: Path, early: bool) -> None:
    unfinish(*folder_of(out))
    terminal, stdout = os.openpty()
    command = ["-c", STOPPED_WHILE_IT_BEGINS] if early else ["-m", "avmit_cli"]
    process = subprocess.Popen(
        [sys.executable, "-P", *command, "jobs", str(out), "--watch"],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(stdout)
    shown = os.read(terminal, 1)
    if not early:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    shown += os.read(terminal, 100_000)
    os.close(terminal)
    assert (process.returncode, err) == (
        130,
        "avmit: watches no longer, and what is at work goes on\n",
    )
    assert shown.endswith(b"\x1b[?25h")  # the cursor is seen again


@pytest.mark.parametrize("command", ["jobs", "finish"])
def test_nothing_is_planned(run: Run, command: str) -> None:
    ran = run(command, "nowhere")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: nothing in nowhere waits to be finished: `--shards` makes a plan of a run first\n"
    )
    ran = run(command, "nowhere", "--config", "mine")
    assert ran.err == "avmit: no plan of 'mine' in nowhere: a run with --shards makes one\n"
